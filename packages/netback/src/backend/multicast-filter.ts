import { type Frame, formatMac, isBroadcast, isMulticast } from '../frame/frame.js';

/** As many as Linux's backend keeps. */
const MAX_ADDRESSES = 64;

/** Multicast control: a frontend that asked for it gets frames to groups only that it has joined. */
export class MulticastFilter {
  private readonly addresses = new Set<string>();

  /** @returns whether there was room, or it was there already */
  add(address: Uint8Array): boolean {
    const key = formatMac(address);
    if (this.addresses.size >= MAX_ADDRESSES && !this.addresses.has(key)) return false;
    this.addresses.add(key);
    return true;
  }

  remove(address: Uint8Array): void {
    this.addresses.delete(formatMac(address));
  }

  passes(frame: Frame): boolean {
    return !isMulticast(frame) || isBroadcast(frame) || this.addresses.has(formatMac(frame.data));
  }
}
