import { connect, type Socket } from 'node:net';
import type { NetworkPort } from '../ports/network-port.js';
import { NetworkPortError, OutsidePort, type OutsidePortOptions } from '../ports/outside-port.js';
import { encodeStreamFrame, StreamFrames, StreamFramingError } from './stream-framing.js';

/** A Unix socket's path, or a TCP address. */
export type StreamAddress = { path: string } | { host: string; port: number };

/**
 * Connects a port to a program that speaks the framing of QEMU's `-netdev stream`: passt, gvproxy, socket_vmnet, QEMU itself.
 * @throws NetworkPortError when nobody listens there
 */
export function connectStreamPort(address: StreamAddress, options: OutsidePortOptions): Promise<NetworkPort> {
  return new Promise((resolve, reject) => {
    const name = 'path' in address ? address.path : `${address.host}:${address.port}`;
    const socket = connect(address);
    const failed = (error: Error) =>
      reject(new NetworkPortError(`${name} cannot be reached: ${error.message}`));
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      if ('host' in address) socket.setNoDelay();
      resolve(streamPort(socket, options, name));
    });
  });
}

/** A port on a socket that is connected already. It belongs to the port then. @param name for messages */
export function streamPort(socket: Socket, options: OutsidePortOptions, name = 'The network'): NetworkPort {
  const frames = new StreamFrames();
  const port = new OutsidePort(
    name,
    {
      get isOpen() {
        return socket.writable;
      },
      get waitingBytes() {
        return socket.writableLength;
      },
      write: (data) => void socket.write(encodeStreamFrame(data)),
      close: () => void socket.destroy(),
    },
    options,
  );
  socket.on('error', (error) => port.complain(error.message));
  socket.on('close', () => port.ended());
  socket.on('data', (chunk) => {
    try {
      port.arrived(frames.push(chunk));
    } catch (error) {
      if (!(error instanceof StreamFramingError)) throw error;
      port.complain(error.message);
      socket.destroy();
    }
  });
  return port;
}
