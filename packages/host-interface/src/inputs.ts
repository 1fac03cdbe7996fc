/**
 * The one door through which time and randomness enter a host. Everything inside the hypervisor is a function of
 * these and of the guests, so a recording of this door replays a run.
 */
export interface HostInputs {
  /** Nanoseconds of a monotonic clock; called at most once a slice and only by real and paced clocks. */
  monotonicNs(): number;
  /** Wall-clock time in nanoseconds since 1970, read once when the host starts. */
  wallclockNs(): bigint;
  /** Fills `bytes` with random bytes (RDRAND, domain UUIDs). */
  randomFill(bytes: Uint8Array): void;
}
