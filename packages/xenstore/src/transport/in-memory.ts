import { XenstoreProtocolError } from '../errors.js';
import type { XenstoreServer } from '../server/server.js';
import type { ClientTransport } from './client-transport.js';

/** A client's transport to a server in the same process. Answers arrive before `send` returns. */
export function connectInMemory(server: XenstoreServer, domid = 0): ClientTransport {
  let receive: (bytes: Uint8Array) => void = () => {};
  let ended: (reason: Error) => void = () => {};
  const connection = server.connect(domid, {
    outputReady(connection) {
      for (let bytes = connection.peekOutput(); bytes; bytes = connection.peekOutput()) {
        connection.consumeOutput(bytes.length);
        receive(bytes);
      }
    },
    failed: (error) =>
      ended(new XenstoreProtocolError(`The server has dropped this client (error ${error}).`)),
    closed: () => ended(new XenstoreProtocolError('The connection is closed.')),
  });
  return {
    send: (bytes) => connection.feed(bytes),
    onReceive: (handler) => {
      receive = handler;
    },
    onClose: (handler) => {
      ended = handler;
    },
    close: () => connection.close(),
  };
}
