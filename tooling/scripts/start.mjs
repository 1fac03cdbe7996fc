// `npm start`: installs and builds what is needed, then boots the guest of `startArguments`.
import { runCommandLine } from './src/command-line.mjs';
import { prepare, runScript } from './src/prepare.mjs';
import { commandLine, startArguments } from './src/workspace.mjs';

await runScript(async () => {
  prepare({ outputs: [commandLine] });
  await runCommandLine([...startArguments, ...process.argv.slice(2)]);
});
