import type { Clock } from '@xenolith/guest-api';
import { type Logger, silentLogger } from '@xenolith/host-interface';
import { XEN_NETIF_MAX_TX_SIZE } from '@xenolith/xen-abi';
import type { Frame } from '../frame/frame.js';
import { plainFrames } from '../frame/segment.js';
import type { FrameReceiver, NetworkPort } from './network-port.js';

/** A port to the outside cannot be had: nobody is there, a program is missing or does not start. */
export class NetworkPortError extends Error {
  override name = 'NetworkPortError';
}

const ETHERNET_HEADER = 14;

export interface OutsidePortOptions {
  /** By it frames from outside enter the guest's time. */
  clock: Clock;
  log?: Logger;
  /** Bytes that may wait to be sent; frames beyond that are dropped. Default 4 MiB. */
  maxWaitingBytes?: number;
}

/** How frames leave. */
export interface Channel {
  readonly isOpen: boolean;
  /** Bytes that were written and have not left yet. */
  readonly waitingBytes: number;
  write(data: Uint8Array): void;
  close(): void;
}

/** A port to something outside the host that can do nothing for us: frames leave it cut and summed up. */
export class OutsidePort implements NetworkPort {
  private receiver: FrameReceiver | undefined;
  private isClosed = false;
  private readonly settings: Required<OutsidePortOptions>;

  /** @param name for messages */
  constructor(
    private readonly name: string,
    private readonly channel: Channel,
    options: OutsidePortOptions,
  ) {
    this.settings = { log: silentLogger, maxWaitingBytes: 4 << 20, ...options };
  }

  send(frame: Frame): void {
    for (const { data } of plainFrames(frame)) {
      const { isOpen, waitingBytes } = this.channel;
      if (isOpen && waitingBytes <= this.settings.maxWaitingBytes) this.channel.write(data);
    }
  }

  connect(receiver: FrameReceiver | undefined): void {
    this.receiver = receiver;
  }

  close(): void {
    this.isClosed = true;
    this.receiver = undefined;
    this.channel.close();
  }

  /** Frames have come from outside; what cannot be one is dropped. */
  arrived(arrived: readonly Uint8Array[]): void {
    const frames = arrived.filter(
      ({ length }) => length >= ETHERNET_HEADER && length <= XEN_NETIF_MAX_TX_SIZE,
    );
    if (frames.length === 0) return;
    this.settings.clock.completion(Promise.resolve(), 0, () => {
      for (const data of frames) this.receiver?.({ data });
    });
  }

  /** Something is wrong outside; unless nobody wants to know any more, the log tells. */
  complain(problem: string): void {
    if (!this.isClosed) this.settings.log.log('warn', 'netback', `${this.name}: ${problem}.`);
  }

  /** It is over, and not because we wanted it. The guest's link stays up, as when a switch loses its power. */
  ended(): void {
    this.complain('the connection has ended; what the guest sends is lost from now on');
    this.close();
  }
}
