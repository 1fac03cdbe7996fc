import type { Socket } from 'node:net';
import { BadInputError } from '@xenolith/host-interface';
import { readLines, writeLine } from './lines.js';
import { type ControlRequest, parseAnswer } from './protocol.js';
import { checkPath, knownHosts, socketOf, tryConnect } from './sockets.js';

/** Which host is meant. */
export interface HostChoice {
  readonly socket?: string;
  readonly host?: string;
}

export interface StreamEvents {
  onOutput(bytes: Uint8Array): void;
  /** The guest has ended, or the host is gone (undefined). */
  onEnd(reason: string | undefined): void;
}

/** A connection to a running host. */
export class ControlClient {
  private waiting: { resolve(value: unknown): void; reject(error: Error): void } | undefined;
  /** For `console`. */
  stream: StreamEvents | undefined;

  private constructor(private readonly socket: Socket) {
    readLines(socket, (line) => this.line(line));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.waiting?.reject(new BadInputError('The host went away.'));
      this.stream?.onEnd(undefined);
    });
  }

  /** @throws BadInputError if there is no such host, or if it is not clear which is meant */
  static async connect(choice: HostChoice): Promise<ControlClient> {
    return new ControlClient(await find(choice));
  }

  /** @throws BadInputError with what the host says */
  request(request: ControlRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      writeLine(this.socket, request);
    });
  }

  /** Console input. */
  input(bytes: Uint8Array): void {
    writeLine(this.socket, {
      do: 'input',
      data: Buffer.from(bytes).toString('base64'),
    } satisfies ControlRequest);
  }

  close(): void {
    this.stream = undefined;
    this.socket.destroy();
  }

  private line(line: string): void {
    const answer = parseAnswer(line);
    const { waiting } = this;
    if ('output' in answer) this.stream?.onOutput(Buffer.from(answer.output, 'base64'));
    else if ('ended' in answer) this.stream?.onEnd(answer.ended);
    else {
      this.waiting = undefined;
      if ('error' in answer) waiting?.reject(new BadInputError(answer.error));
      else waiting?.resolve(answer.ok);
    }
  }
}

async function find({ socket, host }: HostChoice): Promise<Socket> {
  if (socket !== undefined || host !== undefined) {
    const found = await tryConnect(socket === undefined ? socketOf(host!) : checkPath(socket));
    if (found) return found;
    throw new BadInputError(
      socket === undefined ? `No host "${host}" is running.` : `No host is listening on ${socket}.`,
    );
  }
  const running: [name: string, socket: Socket][] = [];
  for (const name of knownHosts()) {
    const connection = await tryConnect(socketOf(name));
    if (connection) running.push([name, connection]);
  }
  if (running.length === 1) return running[0]![1];
  for (const [, connection] of running) connection.destroy();
  if (running.length === 0)
    throw new BadInputError('No host is running: start one with "xenolith up GUEST.cfg".');
  throw new BadInputError(
    `Several hosts are running: say which with --host (${running.map(([name]) => name).join(', ')}).`,
  );
}
