import { Exit } from '@xenolith/cpu-emulator';
import { BadInputError } from '@xenolith/host-interface';
import { describe, expect, it } from 'vitest';
import { createDomain } from '../domain/create.js';
import { destroyDomain } from '../domain/destroy.js';
import type { Domain, DomainSettings } from '../domain/domain.js';
import type { Vcpu } from '../domain/vcpu.js';
import type { Hypervisor } from '../hypervisor.js';
import { testHost } from '../testing/test-host.js';
import { CreditScheduler } from './credit.js';
import type { SchedulerName } from './index.js';
import { NullScheduler } from './null.js';
import { RoundRobinScheduler } from './round-robin.js';
import type { Scheduler } from './scheduler.js';

const MS = 1_000_000;

/** A host of guests that only compute: the processor of tests uses the whole budget of every run. */
function spinners(scheduler: SchedulerName, ...settings: Partial<DomainSettings>[]) {
  const { hv, cpu, domain: first } = testHost({ scheduler, strict: false });
  hv.pauseDomain(first);
  return { hv, cpu, domains: settings.map((each) => spin(hv, each)) };
}

function spin(hv: Hypervisor, settings: Partial<DomainSettings>): Domain {
  const domain = createDomain(hv, { memoryPages: 1, vcpus: 1, ...settings });
  for (const vcpu of domain.vcpus) {
    vcpu.initialised = true;
    vcpu.down = false;
  }
  hv.unpauseDomain(domain);
  return domain;
}

const used = (domain: Domain) => domain.vcpus.reduce((sum, vcpu) => sum + vcpu.retired, 0);

/** Shares in percent of `ns` of system time, which pass while the guests run. */
function shares(host: ReturnType<typeof spinners>, ns: number): number[] {
  const before = host.domains.map(used);
  const start = host.hv.clock.now;
  while (host.hv.clock.now < start + ns) host.hv.run(Math.min(2 * MS, start + ns - host.hv.clock.now));
  const passed = host.hv.clock.now - start;
  return host.domains.map((domain, n) => (100 * (used(domain) - before[n]!)) / passed);
}

function expectShares(found: number[], wanted: number[]): void {
  found.forEach((share, n) => {
    expect(Math.abs(share - wanted[n]!), `${found} instead of ${wanted}`).toBeLessThan(wanted[n]! * 0.05);
  });
}

describe('credit', () => {
  it('gives shares by weight', () => {
    const host = spinners('credit', { weight: 256 }, { weight: 512 }, { weight: 1024 });
    expectShares(shares(host, 2000 * MS), [100 / 7, 200 / 7, 400 / 7]);
  });

  it('gives each vCPU the weight of its domain', () => {
    const host = spinners('credit', { vcpus: 2 }, { vcpus: 1 });
    expectShares(shares(host, 1000 * MS), [200 / 3, 100 / 3]);
  });

  it('holds a cap though nobody else wants to run', () => {
    const host = spinners('credit', { cap: 25 });
    expectShares(shares(host, 1000 * MS), [25]);
    expect(host.hv.clock.now).toBeGreaterThanOrEqual(1000 * MS);
  });

  it('holds a cap by the wall clock, however slow the processor is', () => {
    let wall = 0;
    let busy = 0;
    const host = testHost({
      scheduler: 'credit',
      strict: false,
      clock: 'real',
      inputs: { monotonicNs: () => wall, wallclockNs: () => 0n, randomFill() {} },
    });
    const { hv, cpu } = host;
    hv.pauseDomain(host.domain);
    spin(hv, { cap: 25 });
    const run = cpu.run.bind(cpu);
    cpu.run = (budget) => {
      const exit = run(budget);
      wall += 3 * cpu.retired;
      busy += 3 * cpu.retired;
      return exit;
    };
    while (wall < 2000 * MS) {
      const status = hv.run(1 * MS);
      if (status.kind === 'idle') wall += status.sleepNs!;
    }
    expectShares([(100 * busy) / wall], [25]);
  });

  it('gives what a cap leaves to the others, by weight', () => {
    const host = spinners('credit', { weight: 1024, cap: 25 }, { weight: 256 }, { weight: 512 });
    expectShares(shares(host, 2000 * MS), [25, 25, 50]);
  });

  it('forgets neither debts nor savings beyond a period: who slept long does not starve the others', () => {
    const host = spinners('credit', {}, {});
    const { hv, domains } = host;
    hv.pauseDomain(domains[0]!);
    expectShares(shares(host, 3000 * MS).slice(1), [100]);
    hv.unpauseDomain(domains[0]!);
    const [first, second] = shares(host, 90 * MS);
    expect(second, `${first} : ${second}`).toBeGreaterThan(15);
    expectShares(shares(host, 1000 * MS), [50, 50]);
  });

  it('lets a vCPU that wakes with credit run at once, and one without wait', () => {
    const scheduler = new CreditScheduler();
    const [sleeper, spinner] = vcpus(2);
    expect(scheduler.wake(spinner!)).toBe(true);
    expect(scheduler.pick(0)).toBe(spinner);
    expect(scheduler.wake(sleeper!)).toBe(true);
    expect(scheduler.wake(sleeper!)).toBe(false);
    scheduler.ran(spinner!, 100, false);
    expect(scheduler.pick(100)).toBe(sleeper);
    scheduler.ran(sleeper!, 5000, false);
    scheduler.sleep(sleeper!);
    expect(scheduler.wake(sleeper!)).toBe(false);
    expect(scheduler.pick(5100)).toBe(spinner);
  });

  it('passes over who yields until another has used a slice', () => {
    const scheduler = new CreditScheduler();
    const [a, b, c] = vcpus(3);
    for (const vcpu of [a!, b!, c!]) scheduler.wake(vcpu);
    expect(scheduler.pick(0)).toBe(a);
    scheduler.ran(a!, 1, true);
    expect(scheduler.pick(1)).toBe(b);
    scheduler.ran(b!, 1, true);
    expect(scheduler.pick(2)).toBe(c);
    scheduler.ran(c!, 3 * MS, false);
    expect(scheduler.pick(3 * MS)).toBe(a);
    // Alone it goes on.
    scheduler.ran(a!, 1, true);
    scheduler.sleep(b!);
    scheduler.sleep(c!);
    expect(scheduler.pick(3 * MS + 1)).toBe(a);
  });

  it('refuses weights and caps that Xen’s tools refuse', () => {
    const { hv } = testHost();
    for (const bad of [{ weight: 0 }, { weight: 65536 }, { cap: 101 }, { cap: -1 }, { weight: 1.5 }]) {
      expect(() => createDomain(hv, { memoryPages: 1, vcpus: 1, ...bad })).toThrow(BadInputError);
    }
  });
});

describe('rr', () => {
  it('gives all the same, whatever their weights', () => {
    const host = spinners('rr', { weight: 1 }, { weight: 1000 });
    expectShares(shares(host, 200 * MS), [50, 50]);
  });
});

describe('null', () => {
  it('leaves the processor to who has it', () => {
    const host = spinners('null', {}, {});
    expect(shares(host, 100 * MS)).toEqual([expect.closeTo(100, 2), 0]);
    host.hv.pauseDomain(host.domains[0]!);
    expect(shares(host, 100 * MS)).toEqual([0, expect.closeTo(100, 2)]);
  });
});

describe.each<SchedulerName>(['rr', 'credit', 'null'])('%s', (name) => {
  it('a loop of PAUSE gives up its slice when somebody waits', () => {
    const host = spinners(name, {}, {});
    const { hv, cpu } = host;
    const run = cpu.run.bind(cpu);
    cpu.run = (budget) => {
      if (hv.current?.domain !== host.domains[0]) return run(budget);
      cpu.retired = 100;
      return Exit.pause;
    };
    const [pausing, working] = shares(host, 300 * MS);
    expect(pausing).toBeLessThan(1);
    expect(working).toBeGreaterThan(99);
  });

  it('is deterministic, and forgets domains that are gone', () => {
    const run = () => {
      const host = spinners(name, { weight: 3 }, { weight: 5, cap: 40 }, { vcpus: 3 });
      shares(host, 50 * MS);
      destroyDomain(host.hv, host.domains[2]!);
      shares(host, 50 * MS);
      return [host.hv.clock.now, ...host.domains.map(used)];
    };
    expect(run()).toEqual(run());
  });
});

it.each<[string, () => Scheduler]>([
  ['rr', () => new RoundRobinScheduler()],
  ['credit', () => new CreditScheduler()],
  ['null', () => new NullScheduler()],
])('%s: a vCPU waits once, and is not found any more when it sleeps or is removed', (_name, make) => {
  const scheduler = make();
  const [a, b] = vcpus(2);
  for (const vcpu of [a!, a!, b!]) scheduler.wake(vcpu);
  scheduler.sleep(b!);
  expect([scheduler.waiting, scheduler.pick(0), scheduler.pick(0), scheduler.waiting]).toEqual([
    true,
    a,
    undefined,
    false,
  ]);
  scheduler.ran(a!, 10, false);
  scheduler.remove(a!);
  expect(scheduler.pick(0)).toBeUndefined();
});

/** Runnable vCPUs of different domains. */
function vcpus(count: number): Vcpu[] {
  return spinners('rr', ...Array.from({ length: count }, () => ({}))).domains.map(({ vcpus }) => vcpus[0]!);
}
