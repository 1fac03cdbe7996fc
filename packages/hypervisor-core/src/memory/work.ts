/**
 * Work of a hypercall, in units of about one page-table update (a fifth of a microsecond), after which it stops with a
 * continuation: some milliseconds. It stands for Xen's hypercall_preempt_check, and is the same in every run.
 */
export const WORK_LIMIT = 30_000;

/** Counts what is done for a guest, and says when the hypercall that does it has done enough for once. */
export class Work {
  done = 0;
  #end = Number.POSITIVE_INFINITY;

  /** A hypercall begins. Outside of one there is no limit. */
  begin(): void {
    this.#end = this.done + WORK_LIMIT;
  }

  end(): void {
    this.#end = Number.POSITIVE_INFINITY;
  }

  get isEnough(): boolean {
    return this.done > this.#end;
  }
}
