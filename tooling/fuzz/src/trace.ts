import type { TraceEvent, TraceSink } from '@xenolith/host-interface';

/** Lines of trace that a report shows. */
const SHOWN = 16;

const show = (value: unknown): string =>
  typeof value === 'bigint' ? `0x${BigInt.asUintN(64, value).toString(16)}` : String(value);

function line({ domid, vcpu, name, args = {}, result }: TraceEvent): string {
  const shown = Object.entries(args).map(([key, value]) => `${key}=${show(value)}`);
  return `d${domid}v${vcpu} ${name}(${shown.join(' ')})${result === undefined ? '' : ` = ${show(result)}`}`;
}

/** Keeps the last hypercalls and traps for a report, and says when a domain shuts down. */
export class RecentTrace implements TraceSink {
  private readonly events: TraceEvent[] = [];
  /** A domain has shut down; its memory is still there. */
  onShutdown: () => void = () => {};

  /** Guests begin to run. */
  begin(): void {}

  wants(kind: string): boolean {
    return kind === 'hypercall' || kind === 'trap' || kind === 'sched';
  }

  emit(event: TraceEvent): void {
    if (event.class === 'sched') {
      if (event.name === 'shutdown') this.onShutdown();
      return;
    }
    this.events.push(event);
    if (this.events.length > 4 * SHOWN) this.events.splice(0, 3 * SHOWN);
  }

  lines(): string[] {
    return this.events.slice(-SHOWN).map(line);
  }
}

/** A hypercall and how long it took, in milliseconds of this machine. */
export interface Slow {
  ms: number;
  call: string;
}

/** Measures what each hypercall takes: from the event before it to its own, with the guest's few instructions between. */
export class TimedTrace extends RecentTrace {
  private last = 0;
  slowest: Slow[] = [];

  override begin(): void {
    this.last = performance.now();
  }

  override emit(event: TraceEvent): void {
    super.emit(event);
    const now = performance.now();
    const ms = now - this.last;
    this.last = now;
    if (event.class !== 'hypercall' || ms < (this.slowest.at(-1)?.ms ?? 0)) return;
    this.slowest.push({ ms, call: line(event) });
    this.slowest = this.slowest.sort((a, b) => b.ms - a.ms).slice(0, 8);
  }
}
