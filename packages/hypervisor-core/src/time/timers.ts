/** A deadline in the queue. Cancelled by `TimerQueue.cancel`; never reused. */
export interface Timer {
  readonly deadline: number;
  readonly order: number;
  readonly fire: () => void;
  cancelled: boolean;
}

/**
 * Deadlines in nanoseconds of system time, in a binary heap. Equal deadlines fire in the order in which they were set, so
 * that a run is the same each time.
 */
export class TimerQueue {
  private readonly heap: Timer[] = [];
  private order = 0;
  private cancelledInHeap = 0;

  /** @param onSooner is told when a timer was set that comes before all others */
  constructor(private readonly onSooner: () => void = () => {}) {}

  set(deadline: number, fire: () => void): Timer {
    const timer: Timer = { deadline, order: this.order++, fire, cancelled: false };
    this.heap.push(timer);
    this.up(this.heap.length - 1);
    if (this.heap[0] === timer) this.onSooner();
    return timer;
  }

  cancel(timer: Timer | undefined): void {
    if (!timer || timer.cancelled) return;
    timer.cancelled = true;
    // A guest that sets its timer over and over must not grow the heap.
    if (++this.cancelledInHeap > 64 && this.cancelledInHeap > this.heap.length / 2) this.sweep();
  }

  /** The next deadline, or undefined. */
  get next(): number | undefined {
    while (this.heap[0]?.cancelled) {
      this.pop();
      this.cancelledInHeap--;
    }
    return this.heap[0]?.deadline;
  }

  /** Fires all timers whose deadline is at or before `now`. */
  expire(now: number): void {
    for (let next = this.next; next !== undefined && next <= now; next = this.next) {
      const timer = this.pop();
      timer.cancelled = true;
      timer.fire();
    }
  }

  private sweep(): void {
    const live = this.heap.filter((timer) => !timer.cancelled).sort((a, b) => (before(a, b) ? -1 : 1));
    this.heap.length = 0;
    this.heap.push(...live);
    this.cancelledInHeap = 0;
  }

  private pop(): Timer {
    const top = this.heap[0]!;
    const last = this.heap.pop()!;
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.down(0);
    }
    return top;
  }

  private up(start: number): void {
    let i = start;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(this.heap[parent]!, this.heap[i]!)) return;
      this.swap(i, parent);
      i = parent;
    }
  }

  private down(start: number): void {
    for (let i = start; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.heap.length && before(this.heap[child]!, this.heap[least]!)) least = child;
      }
      if (least === i) return;
      this.swap(i, least);
      i = least;
    }
  }

  private swap(a: number, b: number): void {
    const timer = this.heap[a]!;
    this.heap[a] = this.heap[b]!;
    this.heap[b] = timer;
  }
}

const before = (a: Timer, b: Timer): boolean =>
  a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
