// `npm run -s xenolith -- …`: the command line from the clone, built first (quietly) if it is stale.
import { runCommandLine } from './src/command-line.mjs';
import { prepare, runScript } from './src/prepare.mjs';
import { commandLine } from './src/workspace.mjs';

await runScript(async () => {
  prepare({ quiet: true, outputs: [commandLine] });
  // npm runs scripts at the root; the paths in the arguments are meant from where the person stands.
  if (process.env.INIT_CWD !== undefined) process.chdir(process.env.INIT_CWD);
  await runCommandLine(process.argv.slice(2));
});
