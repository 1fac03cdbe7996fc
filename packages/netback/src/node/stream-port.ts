import { connect, type Socket } from 'node:net';
import type { Clock } from '@xenolith/guest-api';
import { type Logger, silentLogger } from '@xenolith/host-interface';
import { completed } from '../frame/checksum.js';
import type { Frame } from '../frame/frame.js';
import { segment } from '../frame/segment.js';
import type { FrameReceiver, NetworkPort } from '../ports/network-port.js';
import { encodeStreamFrame, StreamFrames, StreamFramingError } from './stream-framing.js';

export interface StreamPortOptions {
  /** By it frames from outside enter the guest's time. */
  clock: Clock;
  log?: Logger;
  /** Bytes that may wait for the socket; frames beyond that are dropped. Default 4 MiB. */
  maxWaitingBytes?: number;
}

/** A Unix socket's path, or a TCP address. */
export type StreamAddress = { path: string } | { host: string; port: number };

/**
 * Connects a port to a program that speaks the framing of QEMU's `-netdev stream`: passt, another QEMU, a switch.
 * @throws Error of the socket's when nobody listens there
 */
export function connectStreamPort(address: StreamAddress, options: StreamPortOptions): Promise<NetworkPort> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(streamPort(socket, options));
    });
  });
}

/** A port on a socket that is connected already. It belongs to the port then. */
export function streamPort(
  socket: Socket,
  { clock, log = silentLogger, maxWaitingBytes = 4 << 20 }: StreamPortOptions,
): NetworkPort {
  const frames = new StreamFrames();
  let receiver: FrameReceiver | undefined;
  const say = (problem: string) => log.log('warn', 'netback', `The network's socket: ${problem}.`);
  socket.on('error', (error) => say(error.message));
  socket.on('close', () => {
    receiver = undefined;
  });
  socket.on('data', (chunk) => {
    try {
      const arrived = frames.push(chunk);
      if (arrived.length === 0) return;
      clock.completion(Promise.resolve(arrived), 0, () => {
        for (const data of arrived) receiver?.({ data });
      });
    } catch (error) {
      if (!(error instanceof StreamFramingError)) throw error;
      say(error.message);
      socket.destroy();
    }
  });
  return {
    send(frame) {
      for (const { data } of whole(frame)) {
        if (socket.writable && socket.writableLength <= maxWaitingBytes)
          socket.write(encodeStreamFrame(data));
      }
    },
    connect(to) {
      if (!socket.destroyed) receiver = to;
    },
    close() {
      receiver = undefined;
      socket.destroy();
    },
  };
}

/** The other side can do nothing for us. */
const whole = (frame: Frame): Frame[] =>
  frame.segmentation ? segment(frame, 'validated') : [completed(frame)];
