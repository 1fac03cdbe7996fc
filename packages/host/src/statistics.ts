import { Exit, type Processor } from '@xenolith/cpu-emulator';
import type { TraceEvent, TraceSink } from '@xenolith/host-interface';

/** Why the processor gave control to the hypervisor. */
export type ExitName = keyof typeof Exit;

/** Counts what a host does. It sits between the parts that emit events and the sink that is there anyway. */
export class Statistics implements TraceSink {
  /** Exits of the processor by kind. */
  readonly exits: Record<ExitName, number> = {
    budget: 0,
    exception: 0,
    softwareInterrupt: 0,
    syscall: 0,
    privileged: 0,
    pause: 0,
  };
  /** Hypercalls by name; those inside of a multicall count under their own names, too. */
  readonly hypercalls = new Map<string, number>();

  constructor(private readonly next: TraceSink) {}

  /** Counts the exits of a processor. To be called before anybody runs it. */
  watch(processor: Processor): void {
    const names = new Map(Object.entries(Exit).map(([name, kind]) => [kind, name as ExitName]));
    const run = processor.run.bind(processor);
    processor.run = (budget) => {
      const exit = run(budget);
      this.exits[names.get(exit)!]++;
      return exit;
    };
  }

  wants(cls: TraceEvent['class']): boolean {
    return cls === 'hypercall' || this.next.wants(cls);
  }

  emit(event: TraceEvent): void {
    if (event.class === 'hypercall') {
      const name = event.name.replace(/^multicall: /, '');
      this.hypercalls.set(name, (this.hypercalls.get(name) ?? 0) + 1);
    }
    if (this.next.wants(event.class)) this.next.emit(event);
  }
}
