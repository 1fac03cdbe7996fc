// Prints `PASSED FAILED` of a vitest JSON report, for .ci/run; a report that is missing counts as one failure.
import { existsSync, readFileSync } from 'node:fs';
import { countTests } from './src/test-counts.mjs';

const path = /** @type {string} */ (process.argv[2]);
const { passed, failed } = existsSync(path)
  ? countTests(JSON.parse(readFileSync(path, 'utf8')))
  : { passed: 0, failed: 1 };
console.log(`${passed} ${failed}`);
