/** Time, and what takes time, as a host lets a guest in TypeScript have them. */
export interface Clock {
  /** System time in nanoseconds since the host started. */
  now(): number;
  /** Calls `done` once `ns` nanoseconds of system time have passed, unless the function that it returns is called first. */
  after(ns: number, done: () => void): () => void;
  /**
   * The one door by which the outside world (a disk, a socket) answers: calls `done` with what `work` came to. A host
   * whose time is virtual delivers the answer `latencyNs` nanoseconds of system time from now, neither sooner nor later.
   */
  completion<T>(work: Promise<T>, latencyNs: number, done: (outcome: PromiseSettledResult<T>) => void): void;
}
