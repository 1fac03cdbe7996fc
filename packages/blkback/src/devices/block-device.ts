/** A result that is there at once, or that is promised. */
export type Awaitable<T> = T | Promise<T>;

/**
 * What stands behind a disk. Offsets and lengths are bytes, multiples of 512, within `size`; callers keep to that. Calls
 * may overlap: those that touch the same bytes are the caller's to order. A device that can answer at once does so
 * without a promise. A rejection (or a throw) is an I/O error of that one request.
 */
export interface BlockDevice {
  /** Bytes. May change while the device is in use: frontends are told when the backend's `params` is written again. */
  readonly size: number;
  /** Writes and discards are refused. */
  readonly readonly: boolean;
  /** A fresh array of `length` bytes. */
  read(offset: number, length: number): Awaitable<Uint8Array>;
  /** @param data is the caller's again when the write is done */
  write(offset: number, data: Uint8Array): Awaitable<void>;
  /** All writes that were done before are on stable storage afterwards. */
  flush(): Awaitable<void>;
  /** The bytes are not needed any more, and read as zeros or as before. Absent: the device cannot do that. */
  discard?(offset: number, length: number): Awaitable<void>;
  /** Looks how large what it stands for is now, where that can change. @throws BlockDeviceError */
  refreshSize?(): Awaitable<void>;
  /** Lets go of what it has open. */
  close?(): Awaitable<void>;
}

/** The device refuses: a write to a read-only one, a file that ends. */
export class BlockDeviceError extends Error {
  override name = 'BlockDeviceError';
}
