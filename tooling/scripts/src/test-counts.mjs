/**
 * The part of vitest's JSON report (Jest's format) that is counted.
 * @typedef {object} TestReport
 * @property {boolean} success
 * @property {{ status: string, assertionResults: { status: string }[] }[]} testResults
 */

/**
 * How many tests passed and failed. A file that failed without a failed test (it could not be loaded) counts as one
 * failed test, and so does a run that failed for any other reason, such as an unhandled error.
 * @param {TestReport} report
 * @returns {{ passed: number, failed: number }}
 */
export function countTests({ success, testResults }) {
  let passed = 0;
  let failed = 0;
  for (const { status, assertionResults } of testResults) {
    const failures = assertionResults.filter((result) => result.status === 'failed').length;
    passed += assertionResults.filter((result) => result.status === 'passed').length;
    failed += failures === 0 && status === 'failed' ? 1 : failures;
  }
  return { passed, failed: failed === 0 && !success ? 1 : failed };
}
