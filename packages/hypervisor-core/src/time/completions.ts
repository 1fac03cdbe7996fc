import type { TimerQueue } from './timers.js';

/** What `Completions` needs of the hypervisor. */
export interface CompletionsHost {
  /** System time in nanoseconds. */
  now(): number;
  readonly timers: TimerQueue;
  /** Time is made of instructions, so that it can be stopped: the clocks `virtual` and `paced`. */
  readonly stopsTime: boolean;
  /** Runs `work` before the next guest instruction; a host that sleeps is woken for it. */
  defer(work: () => void): void;
}

interface Completion {
  /** Set once the outside has answered. */
  deliver: (() => void) | undefined;
}

/**
 * The door through which answers of the outside world (a disk, a socket) come in. With a clock that can be stopped, an
 * answer comes at submission plus a modelled latency, never sooner, and time stands still where the world is slower than
 * that: so the same run repeats on any machine. With the real clock an answer comes when it is there.
 */
export class Completions {
  /** Their time has come, their answer has not; in the order in which they are to be delivered. */
  private readonly due: Completion[] = [];
  /** Asked for and not answered, where time goes on meanwhile. */
  private outstanding = 0;

  constructor(private readonly host: CompletionsHost) {}

  /** Only a turn of the event loop can bring what some guest waits for. */
  get needsTurn(): boolean {
    return this.outstanding > 0;
  }

  /** Whether guests have to wait for an answer that is due. */
  get overdue(): boolean {
    return this.due.length > 0;
  }

  /**
   * Calls `done` with what `work` came to.
   * @param latencyNs system time that the work takes, in nanoseconds; not used with the real clock
   */
  submit<T>(work: Promise<T>, latencyNs: number, done: (outcome: PromiseSettledResult<T>) => void): void {
    const settled = work.then(
      (value): PromiseSettledResult<T> => ({ status: 'fulfilled', value }),
      (reason): PromiseSettledResult<T> => ({ status: 'rejected', reason }),
    );
    if (!this.host.stopsTime) {
      this.outstanding++;
      void settled.then((outcome) => {
        this.outstanding--;
        this.host.defer(() => done(outcome));
      });
      return;
    }
    const completion: Completion = { deliver: undefined };
    void settled.then((outcome) => {
      completion.deliver = () => done(outcome);
      // An answer before its time waits for its timer.
      if (!this.due.includes(completion)) return;
      this.host.defer(() => this.deliverDue());
    });
    this.host.timers.set(this.host.now() + Math.max(0, latencyNs), () => {
      this.due.push(completion);
      this.host.defer(() => this.deliverDue());
    });
  }

  /** In order: a later answer waits for an earlier one that is due, so that the machine's timing does not show. */
  private deliverDue(): void {
    while (this.due[0]?.deliver) this.due.shift()?.deliver?.();
  }
}
