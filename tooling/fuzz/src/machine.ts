import { demoKernel, fuzzKernel } from '@xenolith/guest-kernels';
import { createHost, type GuestDomain, type Host, loadKernel } from '@xenolith/host';
import { FuzzedGuest } from './fuzzed-guest.js';
import { compare, digest, inventory } from './inventory.js';
import { CPUS, encode, type Program } from './program.js';
import { RecentTrace } from './trace.js';

/** MiB of each domain. */
const MEMORY_MIB = 6;
/** Turns of the host in which guests may make no progress. */
const PATIENCE = 3;

/** Something that must not happen, whatever guests do. */
export class Finding extends Error {
  constructor(
    what: string,
    /** The last hypercalls and traps. */
    readonly trace: readonly string[],
    cause: unknown,
  ) {
    super(what, { cause });
  }
}

/** What came of programs. */
export interface Outcome {
  /** Steps that were begun. */
  steps: number;
  /** How each guest ended. */
  ends: string[];
}

/**
 * A host whose hypervisor checks itself (`strict`), with a bystander: a guest that must not notice what others do. Programs
 * run one after the other, each in domains of its own, which then go.
 */
export class Machine {
  private abort = new AbortController();
  private onTurn = () => {};
  private said = '';
  private bystanderMemory = 0;
  private baseline: Record<string, number> = {};
  private lastDomid: number;

  private constructor(
    readonly host: Host,
    private readonly trace: RecentTrace,
    private readonly bystander: GuestDomain,
  ) {
    this.lastDomid = bystander.domid;
  }

  static async create(trace = new RecentTrace()): Promise<Machine> {
    const self: { machine?: Machine } = {};
    const host = await createHost({
      memoryMiB: 4 * MEMORY_MIB,
      clock: 'virtual',
      strict: true,
      trace,
      eventLoop: {
        async turn() {
          self.machine?.onTurn();
        },
        // All guests sleep for good.
        after(_ms, done) {
          self.machine?.abort.abort();
          queueMicrotask(done);
          return () => {};
        },
      },
    });
    const bystander = host.createDomain({
      kernel: loadKernel(demoKernel),
      memoryMiB: MEMORY_MIB,
      name: 'bystander',
      onConsole: (bytes) => {
        if (self.machine) self.machine.said += new TextDecoder().decode(bytes);
      },
    });
    const machine = new Machine(host, trace, bystander);
    self.machine = machine;
    bystander.unpause();
    await machine.serve('');
    machine.baseline = inventory(host);
    return machine;
  }

  /** Runs programs side by side, each in a new domain, and checks what must be so afterwards. @throws Finding */
  async run(...programs: readonly Program[]): Promise<Outcome> {
    const { host, trace } = this;
    const guests: FuzzedGuest[] = [];
    try {
      for (const program of programs) guests.push(this.start(program, guests.length, programs.length));
      await this.watch(guests);
      host.hypervisor.checks?.everything();
      const ends = guests.map(({ end }) => end);
      for (const { domain } of guests) domain.destroy();
      host.hypervisor.finishReleases();
      host.hypervisor.checks?.everything();
      compare(this.baseline, inventory(host));
      if (digest(host, this.bystander.domain?.p2m ?? []) !== this.bystanderMemory)
        throw new Error('The memory of the bystander has changed.');
      await this.serve('xenstore\r');
      return { steps: guests.reduce((sum, { steps }) => sum + steps, 0), ends };
    } catch (error) {
      throw new Finding(error instanceof Error ? error.message : String(error), trace.lines(), error);
    }
  }

  /** Makes the domain of a program. Two know each other: their numbers follow one another. */
  private start(program: Program, index: number, count: number): FuzzedGuest {
    const domid = ++this.lastDomid;
    const peer = index === 0 ? domid + count - 1 : domid - 1;
    const domain = this.host.createDomain({
      kernel: loadKernel(fuzzKernel),
      ramdisk: encode(program),
      memoryMiB: MEMORY_MIB,
      vcpus: CPUS,
      name: `fuzz${index}`,
      onReboot: 'destroy',
      cmdline: `peers=${peer},${this.bystander.domid}`,
      onConsole: (bytes) => {
        guest.console += new TextDecoder().decode(bytes);
      },
    });
    const guest = new FuzzedGuest(this.host, program, domain);
    return guest;
  }

  /** Runs the host until all guests have ended, sleep, or make no progress. */
  private async watch(guests: readonly FuzzedGuest[]): Promise<void> {
    const progress = () => guests.reduce((sum, guest) => sum + guest.progress(), 0);
    let last = -1;
    let idleTurns = 0;
    this.trace.onShutdown = () => void progress();
    for (const { domain } of guests) domain.unpause();
    await this.runHost(() => {
      const now = progress();
      idleTurns = now === last ? idleTurns + 1 : 0;
      last = now;
      if (idleTurns > PATIENCE || guests.every(({ domain }) => domain.result)) this.abort.abort();
    });
    progress();
  }

  /** The bystander takes a command, and sleeps again. */
  private async serve(command: string): Promise<void> {
    this.said = '';
    this.bystander.sendConsole(new TextEncoder().encode(command));
    await this.runHost(() => {});
    if (!this.said.includes('demo>')) throw new Error(`The bystander does not answer: ${this.said}`);
    this.bystanderMemory = digest(this.host, this.bystander.domain?.p2m ?? []);
  }

  private async runHost(onTurn: () => void): Promise<void> {
    this.abort = new AbortController();
    this.onTurn = onTurn;
    this.trace.begin();
    await this.host.run({ signal: this.abort.signal });
  }
}
