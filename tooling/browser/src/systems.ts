import { grantsKernel, helloKernel } from '@xenolith/guest-kernels';
import { createHost, type DomainConfig, type DomainResult, loadKernel } from '@xenolith/host';

/** One domain and what became of it. */
export interface Ended {
  cmdline: string;
  output: string;
  result: DomainResult;
}

/** A host that has run to its end. */
export interface SystemRun {
  name: string;
  domains: Ended[];
  /** Instructions of all guests: under the virtual clock the same wherever it runs. */
  instructions: number;
}

type Guest = readonly [kernel: Uint8Array, cmdline: string];
const SYSTEMS: Readonly<Record<string, readonly Guest[]>> = {
  hello: [[helloKernel, '']],
  'grants of version 1': [
    [grantsKernel, 'grant 2'],
    [grantsKernel, 'map 1'],
  ],
  'grants of version 2': [
    [grantsKernel, 'grant 2 v2'],
    [grantsKernel, 'map 1 v2'],
  ],
};

/** Runs each system on a host of its own. */
export async function runSystems(): Promise<SystemRun[]> {
  const runs: SystemRun[] = [];
  for (const [name, guests] of Object.entries(SYSTEMS)) {
    const host = await createHost({ memoryMiB: 32, clock: 'virtual' });
    const ended = guests.map(async ([kernel, cmdline]): Promise<Ended> => {
      const text = new TextDecoder();
      let output = '';
      const config: DomainConfig = {
        kernel: loadKernel(kernel),
        memoryMiB: 8,
        cmdline,
        onConsole: (bytes) => {
          output += text.decode(bytes, { stream: true });
        },
      };
      const domain = host.createDomain(config);
      domain.unpause();
      const result = await domain.ended;
      return { cmdline, output, result };
    });
    await host.run();
    const domains = await Promise.all(ended);
    runs.push({ name, domains, instructions: host.hypervisor.retired });
  }
  return runs;
}
