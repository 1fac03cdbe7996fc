/** The classes that `--trace=` selects. */
export type TraceClass = 'hypercall' | 'trap' | 'event' | 'xenstore' | 'sched' | 'mm' | 'emulate';

/**
 * One thing that happened, as plain data. `name` and `args` are decoded for a reader; `result` is there when the thing
 * has one (a hypercall's return value).
 */
export interface TraceEvent {
  class: TraceClass;
  /** Domain and vCPU it concerns. */
  domid: number;
  vcpu: number;
  name: string;
  args?: Record<string, string | number | bigint>;
  result?: bigint | number | string;
}

/**
 * A part asks `sink.wants(class)` before it builds an event, so that tracing costs one test when it is off.
 * The sink adds the time.
 */
export interface TraceSink {
  wants(cls: TraceClass): boolean;
  emit(event: TraceEvent): void;
}

export const noTrace: TraceSink = { wants: () => false, emit() {} };
