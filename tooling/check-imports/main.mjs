#!/usr/bin/env node
// Checks the imports of the whole workspace; prints each violation and exits 1 if there is one.
import { fileURLToPath } from 'node:url';
import { checkWorkspace } from './src/check.mjs';
import { readWorkspace } from './src/workspace.mjs';

const workspace = readWorkspace(fileURLToPath(new URL('../../', import.meta.url)));
const problems = checkWorkspace(workspace);
for (const problem of problems) console.error(problem);
const files = workspace.members.reduce((sum, member) => sum + member.files.length, 0);
console.log(
  `check-imports: ${files} files of ${workspace.members.length} packages, ${problems.length} violations`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
