import type { HostInputs } from '@xenolith/host-interface';

/** Time and randomness of the machine that we run on. Every run differs. */
export function systemInputs(): HostInputs {
  return {
    monotonicNs: () => Math.floor(performance.now() * 1e6),
    wallclockNs: () => BigInt(Date.now()) * 1_000_000n,
    // Browsers give 64 KiB at once.
    randomFill(bytes) {
      for (let at = 0; at < bytes.length; at += 65536) {
        crypto.getRandomValues(bytes.subarray(at, at + 65536) as Uint8Array<ArrayBuffer>);
      }
    },
  };
}

export interface FixedInputs {
  /** Wall-clock time at which the host starts, in nanoseconds since 1970. Default: 1 January 2025, 0:00 UTC. */
  wallclockNs?: bigint;
  /** Which random bytes come, 0 … 2^32−1. Default 1. */
  seed?: number;
}

const DEFAULT_WALLCLOCK = 1_735_689_600_000_000_000n;

/** The same date and the same random bytes in every run, for the virtual clock: a run can then be repeated exactly. */
export function fixedInputs({ wallclockNs = DEFAULT_WALLCLOCK, seed = 1 }: FixedInputs = {}): HostInputs {
  let state = seed >>> 0;
  // splitmix32: good enough to look random, and the same everywhere.
  const next = (): number => {
    state = (state + 0x9e37_79b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return z ^ (z >>> 15);
  };
  return {
    monotonicNs: () => 0,
    wallclockNs: () => wallclockNs,
    randomFill(bytes) {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next();
    },
  };
}
