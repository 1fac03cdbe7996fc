import type { Guest } from './guests.js';

/** A guest that prints no line ends must not fill our memory. */
const MAX_LINE = 16 * 1024;

/** Prints whole lines of all guests' consoles with the guest's name in front: `web| Hello`. */
export function printLines({ domain, console }: Guest, print: (text: string) => void): void {
  const decoder = new TextDecoder();
  let rest = '';
  const flush = (): void => {
    if (rest) print(`${domain.name}| ${rest}\n`);
    rest = '';
  };
  console.follow({
    write(bytes) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
      rest = lines.pop()!;
      for (const line of lines) print(`${domain.name}| ${line.replaceAll('\r', '')}\n`);
      if (rest.length > MAX_LINE) flush();
    },
    ended: flush,
  });
}
