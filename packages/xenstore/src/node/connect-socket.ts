import { connect } from 'node:net';
import { XenstoreProtocolError } from '../errors.js';
import type { ClientTransport } from '../transport/client-transport.js';

/**
 * Where xenstored listens, as libxenstore finds it: `XENSTORED_PATH`, or `socket` in `XENSTORED_RUNDIR`, which is
 * `/var/run/xenstored` by default.
 */
export function defaultSocketPath(environment: NodeJS.ProcessEnv = process.env): string {
  const { XENSTORED_PATH, XENSTORED_RUNDIR = '/var/run/xenstored' } = environment;
  return XENSTORED_PATH ?? `${XENSTORED_RUNDIR}/socket`;
}

/**
 * Connects to a xenstored: that of a real Xen host, or one of ours. Whoever may connect may do everything.
 * @throws Error as Node's `net` gives it (ENOENT, ECONNREFUSED, EACCES), if nobody can be reached there
 */
export function connectSocket(path: string = defaultSocketPath()): Promise<ClientTransport> {
  const socket = connect(path);
  let receive: (bytes: Uint8Array) => void = () => {};
  let ended: (reason: Error) => void = () => {};
  socket.on('data', (bytes) => receive(bytes));
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', (error) =>
        ended(new XenstoreProtocolError(`The connection broke: ${error.message}`)),
      );
      socket.on('close', () => ended(new XenstoreProtocolError('The server has closed the connection.')));
      resolve({
        send: (bytes) => void socket.write(bytes),
        onReceive: (handler) => {
          receive = handler;
        },
        onClose: (handler) => {
          ended = handler;
        },
        // What was sent still goes out.
        close: () => void socket.end(),
      });
    });
  });
}
