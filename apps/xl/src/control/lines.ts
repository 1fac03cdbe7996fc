import type { Socket } from 'node:net';
import { MAX_LINE } from './protocol.js';

/** Reads lines from a connection. One that sends too long a line is closed. @param onLine gets each without its end */
export function readLines(socket: Socket, onLine: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (!socket.destroyed) onLine(line);
    if (rest.length > MAX_LINE) socket.destroy();
  });
}

export const writeLine = (socket: Socket, value: object): void => {
  if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`);
};
