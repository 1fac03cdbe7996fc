/** What a vif has done so far. `tx` is what its guest sends, `rx` what it gets; large frames count as one. */
export interface VifStatistics {
  txFrames: number;
  txBytes: number;
  /** Answered with an error, and not sent. */
  txBad: number;
  rxFrames: number;
  rxBytes: number;
  /** The guest had no room for them, for too long. */
  rxDropped: number;
}

export const noTraffic = (): VifStatistics => ({
  txFrames: 0,
  txBytes: 0,
  txBad: 0,
  rxFrames: 0,
  rxBytes: 0,
  rxDropped: 0,
});
