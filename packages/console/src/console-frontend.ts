import { ConsoleRing, type RingMemory } from '@xenolith/shared-ring';

/** The guest's end of a PV console, for guests written in TypeScript. The caller owns the page and the port. */
export class ConsoleFrontend {
  private readonly ring: ConsoleRing;

  /** @param notify sends an event on the guest's console port */
  constructor(
    page: RingMemory,
    private readonly notify: () => void,
  ) {
    this.ring = new ConsoleRing(page);
  }

  /** Prints. @returns how many bytes there was room for; the rest is to be tried again after the next event */
  write(bytes: Uint8Array): number {
    const written = this.ring.output.write(bytes) ?? 0;
    if (written > 0) this.notify();
    return written;
  }

  /** All input that waits; empty if there is none. */
  read(): Uint8Array {
    const input = this.ring.input.read() ?? new Uint8Array(0);
    if (input.length > 0) this.notify();
    return input;
  }
}
