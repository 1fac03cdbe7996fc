/** One direction of a byte ring; `null` when the other end's indices make no sense. */
export interface RingDirection {
  /** Takes up to `limit` bytes, all by default. */
  read(limit?: number): Uint8Array | null;
  /** @returns how many bytes there was room for */
  write(data: Uint8Array): number | null;
}

/** A domain's xenstore page (`struct xenstore_domain_interface`). XenstoreRing of @xenolith/shared-ring is one. */
export interface XenstorePage {
  readonly requests: RingDirection;
  readonly responses: RingDirection;
  /** `XENSTORE_SERVER_FEATURE_*` bits that the server offers. */
  serverFeatures: number;
  /** `XENSTORE_CONNECTED` or `XENSTORE_RECONNECT`. */
  connection: number;
  /** `XENSTORE_ERROR_*`. */
  error: number;
  /** Empties both directions. */
  reset(): void;
}
