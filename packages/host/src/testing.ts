import { compileInterpreter } from '@xenolith/cpu-emulator';
import type { DomainConfig } from './domain-config.js';
import type { GuestDomain } from './guest-domain.js';
import { createHost, type Host, type HostOptions } from './host.js';
import { loadKernel } from './kernel.js';

const text = new TextDecoder();
const interpreter = compileInterpreter();

/** A guest and what it has printed. */
export interface TestGuest {
  readonly guest: GuestDomain;
  output: string;
  /** Console input. */
  type(letters: string): void;
}

/** A strict host under the virtual clock; tests run it step by step. */
export class TestHost {
  private constructor(readonly host: Host) {}

  static async create(options: HostOptions = {}): Promise<TestHost> {
    return new TestHost(
      await createHost({
        memoryMiB: 32,
        clock: 'virtual',
        strict: true,
        interpreter: await interpreter,
        ...options,
      }),
    );
  }

  /** A running guest of 4 MiB. */
  boot(kernel: Uint8Array, config: Partial<DomainConfig> = {}): TestGuest {
    const test = this.create(kernel, config);
    test.guest.unpause();
    return test;
  }

  create(kernel: Uint8Array, config: Partial<DomainConfig> = {}): TestGuest {
    const test: Omit<TestGuest, 'guest'> = {
      output: '',
      type: (letters) => void guest.sendConsole(new TextEncoder().encode(letters)),
    };
    const guest = this.host.createDomain({
      kernel: loadKernel(kernel),
      memoryMiB: 4,
      onConsole: (bytes) => {
        test.output += text.decode(bytes);
      },
      ...config,
    });
    return Object.assign(test, { guest });
  }

  /** Runs until the condition holds; throws if it does not after `turns` of the event loop. */
  async until(condition: () => boolean, turns = 200): Promise<void> {
    for (let turn = 0; !condition(); turn++) {
      if (turn >= turns) throw new Error('What the test waits for does not happen.');
      await this.host.run({ signal: AbortSignal.timeout(5) });
    }
  }

  /** All that a domain takes of a host, counted. */
  counts(): Record<string, number> {
    const { hypervisor, xenstore } = this.host;
    const nodes = (path: string): number =>
      xenstore.local.list(path || '/').reduce((sum, name) => sum + 1 + nodes(`${path}/${name}`), 0);
    return {
      freeFrames: hypervisor.memory.frames.freeFrames,
      domains: hypervisor.domains.size,
      zombies: hypervisor.zombies.size,
      portsOfDom0: hypervisor.events.list(0).length,
      mappingsOfDom0: [...hypervisor.grants.heldReferences()].length,
      nodes: nodes(''),
    };
  }
}
