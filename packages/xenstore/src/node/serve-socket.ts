import { lstatSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { ServerConnection } from '../server/connection.js';
import type { XenstoreServer } from '../server/server.js';

/** Unread bytes above which a client is asked for no more requests. */
const HIGH_WATER = 256 * 1024;

export interface SocketServerOptions {
  /** Unread bytes, of replies and of events that others cause, above which a client is dropped. Default 16 MiB. */
  maxUnread?: number;
  /** Some requests were served: what they changed may concern others in this process. */
  onServed?(): void;
}

export interface SocketServer {
  readonly path: string;
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves a store on a Unix socket, to this user's programs only (mode 0600): as with xenstored, whoever connects acts
 * as domain 0. A socket that a dead server has left is replaced. The socket goes with `close`, or with the process.
 * @throws Error if a server answers at that path already, if there is something else, or as Node's `net` gives it
 */
export async function serveSocket(
  store: XenstoreServer,
  path: string,
  options: SocketServerOptions = {},
): Promise<SocketServer> {
  await removeStale(path);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(store, socket, options);
  });
  await listen(server, path);
  const onExit = () => unlinkSync(path);
  process.once('exit', onExit);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        process.off('exit', onExit);
        // This removes the socket, too.
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made before `listen` returns, and is never open to others.
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

/** Makes room for a new socket, unless somebody is there. */
async function removeStale(path: string): Promise<void> {
  // Node's own error for a missing directory is EACCES.
  statSync(dirname(path));
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (!there) return;
  if (!there.isSocket()) throw new Error(`${path} exists and is no socket; it is left alone.`);
  const answered = await new Promise<boolean>((resolve, reject) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
  if (answered) throw new Error(`A server answers at ${path} already; stop it, or choose another path.`);
  unlinkSync(path);
}

function serve(store: XenstoreServer, socket: Socket, options: SocketServerOptions): void {
  const { maxUnread = 16 * 1024 * 1024, onServed } = options;
  const send = (connection: ServerConnection) => {
    if (connection.outputBytes + socket.writableLength > maxUnread) {
      socket.destroy();
      return;
    }
    socket.cork();
    for (let bytes = connection.peekOutput(); bytes; bytes = connection.peekOutput()) {
      if (socket.writableLength > HIGH_WATER) break;
      connection.consumeOutput(bytes.length);
      socket.write(bytes);
    }
    process.nextTick(() => socket.uncork());
    if (connection.outputBytes > 0) socket.pause();
  };
  const connection = store.connect(0, { outputReady: send, failed: () => socket.destroy() });
  socket.on('data', (bytes) => {
    connection.feed(bytes);
    onServed?.();
  });
  socket.on('drain', () => {
    send(connection);
    if (connection.outputBytes === 0) socket.resume();
  });
  // A client that breaks off is no error of ours; `close` follows.
  socket.on('error', () => {});
  socket.on('close', () => connection.close());
}
