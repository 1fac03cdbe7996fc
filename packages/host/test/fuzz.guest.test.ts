import { fuzzKernel, helloKernel } from '@xenolith/guest-kernels';
import type { TraceEvent, TraceSink } from '@xenolith/host-interface';
import { expect, it } from 'vitest';
import { createHost, type GuestDomain, type Host, loadKernel } from '../src/index.js';

const CALLS = 20_000;
/** Calls that one guest is asked to make. */
const EACH = 4000;
/** Hypercalls between two recounts of all frames. */
const INTERVAL = 250;
/** Turns of the host, of some million instructions each, that a guest may take. */
const PATIENCE = 200;
const MEMORY_MIB = 8;

/** Watches a guest's hypercalls: recounts at intervals, and keeps the last for the report of a failure. */
class Watch implements TraceSink {
  host: Host | undefined;
  hypercalls = 0;
  readonly last: string[] = [];

  wants(kind: string): boolean {
    return kind === 'hypercall';
  }

  emit({ name, args = {}, result }: TraceEvent): void {
    const shown = Object.entries(args).map(([key, value]) => `${key}=${show(value)}`);
    this.last.push(`${name}(${shown.join(' ')}) = ${show(result)}`);
    if (this.last.length > 12) this.last.shift();
    if (++this.hypercalls % INTERVAL === 0) checkEverything(this.host);
  }
}

/** A strict hypervisor checks the frames that each exit touched; this counts everything anew. */
function checkEverything(host: Host | undefined): void {
  const checks = host?.hypervisor.checks;
  if (!checks) throw new Error('The hypervisor is not strict.');
  checks.everything();
}

const show = (value: unknown): string =>
  typeof value === 'bigint' ? `0x${BigInt.asUintN(64, value).toString(16)}` : String(value);

/** How many calls the guest said that it made. */
const callsOf = (console: string): number =>
  Math.max(0, ...[...console.matchAll(/^FUZZ(?:-DONE calls=| )(\d+)/gm)].map((match) => Number(match[1])));

/** Runs one guest to its end, or to where it makes no progress any more. */
async function fuzz(seed: number): Promise<{ console: string; end: string }> {
  const watch = new Watch();
  const turns = { left: PATIENCE };
  const abort = new AbortController();
  const host = await createHost({
    memoryMiB: 2 * MEMORY_MIB,
    clock: 'virtual',
    strict: true,
    trace: watch,
    eventLoop: {
      async turn() {
        if (--turns.left <= 0) abort.abort();
      },
      // All guests sleep for good.
      after(_ms, done) {
        abort.abort();
        queueMicrotask(done);
        return () => {};
      },
    },
  });
  const bystander = host.createDomain({
    kernel: loadKernel(helloKernel),
    memoryMiB: MEMORY_MIB,
    name: 'bystander',
  });
  const before = memoryOf(host, bystander);
  let console = '';
  const guest = host.createDomain({
    kernel: loadKernel(fuzzKernel),
    memoryMiB: MEMORY_MIB,
    vcpus: 2,
    onReboot: 'destroy',
    cmdline: `seed=${seed} calls=${EACH}`,
    onConsole: (bytes) => {
      console += new TextDecoder().decode(bytes);
    },
  });
  watch.host = host;
  void guest.ended.then(() => abort.abort());
  checkEverything(host);
  guest.unpause();
  try {
    await host.run({ signal: abort.signal });
    checkEverything(host);
    expect(Buffer.compare(memoryOf(host, bystander), before), 'the other domain’s memory').toBe(0);
  } catch (error) {
    const report = [
      `Fuzzing with seed=${seed} calls=${EACH}.`,
      ...watch.last,
      `Console: ${console.slice(-300)}`,
    ];
    throw new Error(report.join('\n'), { cause: error });
  }
  const { result } = guest;
  const end = result ? `${result.reason}: ${result.crash?.reason ?? ''}` : 'stuck';
  bystander.destroy();
  guest.destroy();
  checkEverything(host);
  return { console, end };
}

function memoryOf(host: Host, { domain }: GuestDomain): Buffer {
  const { machine } = host.hypervisor.memory;
  return Buffer.concat([...domain!.p2m].map((mfn) => machine.frame(mfn)));
}

it('20,000 random hypercalls leave the hypervisor whole', async () => {
  let made = 0;
  let ends = '';
  for (let seed = 1; made < CALLS; seed++) {
    const { console, end } = await fuzz(seed);
    expect(console, `seed ${seed}`).toContain(`FUZZ seed=${seed} calls=${EACH}`);
    const calls = callsOf(console);
    made += calls;
    ends += `seed ${seed}: ${calls} calls, ${end}\n`;
    // A guest that ends too early time after time would test nothing.
    expect(seed, ends).toBeLessThan(100);
  }
});
