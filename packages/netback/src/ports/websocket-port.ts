import type { NetworkPort } from './network-port.js';
import { NetworkPortError, OutsidePort, type OutsidePortOptions } from './outside-port.js';

/** The part of a `WebSocket` that a port uses: the browser's, Node's from 22 on, or that of the package `ws`. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  close(): void;
  addEventListener(type: 'open' | 'error' | 'close', listener: (event: { message?: string }) => void): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
}

export interface WebSocketPortOptions extends OutsidePortOptions {
  /** Makes the socket. Default: the global `WebSocket`, which Node has from 22 on. */
  open?(url: string): WebSocketLike;
}

const OPEN = 1;

/**
 * Connects a port to a relay that exchanges raw Ethernet frames over WebSocket, one in each binary message and nothing
 * else: websockproxy, wsnic and their like, which v86 and jor1k use (docs/networking.md of v86, "wsproxy").
 * @throws NetworkPortError when it cannot be reached
 */
export function connectWebSocketPort(url: string, options: WebSocketPortOptions): Promise<NetworkPort> {
  const { open = globalWebSocket, ...portOptions } = options;
  return new Promise((resolve, reject) => {
    const socket = opened(open, url);
    socket.binaryType = 'arraybuffer';
    let isUp = false;
    const port = new OutsidePort(
      url,
      {
        get isOpen() {
          return socket.readyState === OPEN;
        },
        get waitingBytes() {
          return socket.bufferedAmount;
        },
        write: (data) => socket.send(data),
        close: () => socket.close(),
      },
      portOptions,
    );
    socket.addEventListener('open', () => {
      isUp = true;
      resolve(port);
    });
    // Browsers keep the reason to themselves.
    socket.addEventListener('error', ({ message = 'the connection failed' }) => {
      if (isUp) port.complain(message);
      else reject(new NetworkPortError(`${url} cannot be reached: ${message}`));
    });
    socket.addEventListener('close', () => {
      if (isUp) port.ended();
      else reject(new NetworkPortError(`${url} cannot be reached: the relay has closed the connection`));
    });
    socket.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) port.arrived([new Uint8Array(data)]);
    });
  });
}

function opened(open: (url: string) => WebSocketLike, url: string): WebSocketLike {
  try {
    return open(url);
  } catch (error) {
    if (error instanceof NetworkPortError) throw error;
    throw new NetworkPortError(`${url} cannot be reached: ${(error as Error).message}`);
  }
}

function globalWebSocket(url: string): WebSocketLike {
  const { WebSocket } = globalThis as { WebSocket?: new (url: string) => WebSocketLike };
  if (!WebSocket)
    throw new NetworkPortError(
      'there is no global WebSocket here (Node has one from 22 on): make one of the package ws with `open`',
    );
  return new WebSocket(url);
}
