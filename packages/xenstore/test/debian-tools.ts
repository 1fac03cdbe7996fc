import { execFile, spawn, spawnSync } from 'node:child_process';

/** Why Debian's xenstore tools cannot run here; undefined where they can. In CI they must. */
export const toolsMissing: string | undefined =
  spawnSync('xenstore-ls', ['--help']).error === undefined || process.env.CI === 'true'
    ? undefined
    : 'the xenstore tools are not here (Debian: apt install xenstore-utils)';

export interface ToolResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs one of them, `xenstore-NAME`, on a socket. */
export function xenstoreTool(socket: string, name: string, ...args: string[]): Promise<ToolResult> {
  return new Promise((resolve) => {
    const env = { ...process.env, XENSTORED_PATH: socket };
    execFile(`xenstore-${name}`, args, { env, timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
  });
}

/** Starts `xenstore-watch`; `next` is the line that it prints next. */
export function xenstoreWatch(socket: string, ...args: string[]) {
  const child = spawn('xenstore-watch', args, { env: { ...process.env, XENSTORED_PATH: socket } });
  let text = '';
  let wake = () => {};
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
    wake();
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    ended,
    async next(): Promise<string> {
      for (;;) {
        const end = text.indexOf('\n');
        if (end >= 0) {
          const line = text.slice(0, end);
          text = text.slice(end + 1);
          return line;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    stop: () => void child.kill(),
  };
}
