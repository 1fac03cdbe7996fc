/** Time as a server needs it for write rates and time-outs; without one it has neither. */
export interface ServerTimer {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Calls `run` once, after so many milliseconds. @returns what cancels it */
  after(milliseconds: number, run: () => void): () => void;
}
