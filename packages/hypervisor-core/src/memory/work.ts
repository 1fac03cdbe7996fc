/**
 * Work of a hypercall, in units of about one page-table update (a fifth of a microsecond), after which it stops with a
 * continuation: some milliseconds. It stands for Xen's hypercall_preempt_check, and is the same in every run.
 */
export const WORK_LIMIT = 30_000;

/** Counts what is done for a guest, and says when the hypercall that does it has done enough for once. */
export class Work {
  done = 0;
  /** Tests may set it lower, to stop at every point where a stop is possible. */
  limit = WORK_LIMIT;
  #end = Number.POSITIVE_INFINITY;

  /** Does what a hypercall, or something like it, does at once. Outside of that there is no limit. */
  limited<T>(operation: () => T): T {
    const outer = this.#end;
    this.#end = this.done + this.limit;
    try {
      return operation();
    } finally {
      this.#end = outer;
    }
  }

  get isEnough(): boolean {
    return this.done > this.#end;
  }
}
