import type { Clock } from '@xenolith/guest-api';
import type { Frame } from '../frame/frame.js';
import { plainFrames } from '../frame/segment.js';
import type { NetworkPort } from './network-port.js';

/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian: a section header first, then one description of an
 * interface for each port, then a packet for each frame.
 */
const SECTION_HEADER = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET = 1;
const OPTION_NAME = 2;
const OPTION_TIMESTAMP_RESOLUTION = 9;
const OPTION_FLAGS = 2;
const INBOUND = 1;
const OUTBOUND = 2;

export interface CaptureOptions {
  clock: Clock;
  /** Gets the file's bytes, piece by piece. */
  write(bytes: Uint8Array): void;
  /** Nanoseconds since 1970 at which the clock was 0. Default 0. */
  startNs?: bigint;
}

/**
 * Writes what goes through ports as a pcapng file, in the order in which it goes. The file has frames as a wire would:
 * checksums that are still blank are computed in it, and large frames are cut.
 */
export class Capture {
  private interfaces = 0;

  constructor(private readonly options: CaptureOptions) {
    const body = new Uint8Array(16);
    const view = new DataView(body.buffer);
    view.setUint32(0, BYTE_ORDER_MAGIC, true);
    view.setUint16(4, 1, true);
    // The section's length is not known.
    view.setBigUint64(8, 0xffff_ffff_ffff_ffffn, true);
    this.block(SECTION_HEADER, body);
  }

  /** The same port, with its frames captured under `name`. Outbound is what its owner sends. */
  tap(port: NetworkPort, name: string): NetworkPort {
    const number = this.describe(name);
    return {
      send: (frame) => {
        this.packet(number, OUTBOUND, frame);
        port.send(frame);
      },
      connect: (receiver) =>
        port.connect(
          receiver &&
            ((frame) => {
              this.packet(number, INBOUND, frame);
              receiver(frame);
            }),
        ),
      close: () => port.close?.(),
    };
  }

  private describe(name: string): number {
    const body = joined([
      words(LINKTYPE_ETHERNET, 0),
      option(OPTION_NAME, new TextEncoder().encode(name)),
      option(OPTION_TIMESTAMP_RESOLUTION, Uint8Array.of(9)),
      option(0, new Uint8Array(0)),
    ]);
    this.block(INTERFACE_DESCRIPTION, body);
    return this.interfaces++;
  }

  private packet(number: number, direction: number, frame: Frame): void {
    const { clock, startNs = 0n } = this.options;
    const time = startNs + BigInt(Math.floor(clock.now()));
    for (const { data } of plainFrames(frame)) {
      const body = joined([
        words(number, Number(time >> 32n), Number(time & 0xffff_ffffn), data.length, data.length),
        data,
        new Uint8Array(-data.length & 3),
        option(OPTION_FLAGS, words(direction)),
        option(0, new Uint8Array(0)),
      ]);
      this.block(ENHANCED_PACKET, body);
    }
  }

  private block(type: number, body: Uint8Array): void {
    const length = body.length + 12;
    this.options.write(joined([words(type, length), body, words(length)]));
  }
}

function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, true);
  return bytes;
}

function option(code: number, value: Uint8Array): Uint8Array {
  return joined([words(code | (value.length << 16)), value, new Uint8Array(-value.length & 3)]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
