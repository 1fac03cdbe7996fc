import { Exit } from '@xenolith/cpu-emulator';
import * as abi from '@xenolith/xen-abi';
import { beforeEach, describe, expect, it } from 'vitest';
import { VECTOR } from '../arch/x86.js';
import type { Vcpu } from '../domain/vcpu.js';
import { BASE, type TestHost, testHost } from '../testing/test-host.js';
import { RUNSTATE } from './runstate.js';

const SECOND_RIP = BASE + 0x3000n;
const HANDLER = 0xffff_ffff_8200_0000n;

let host: TestHost;
let first: Vcpu;
let second: Vcpu;
/** Linear address of page 2, for the arguments of hypercalls. */
let arg: bigint;
beforeEach(() => {
  host = testHost({}, { vcpus: 3 });
  first = host.vcpu;
  second = host.start(1, SECOND_RIP);
  arg = host.at(2);
});

const vcpuOp = (operation: number, id: number, address: bigint | number = 0) =>
  host.hypercall(abi.__HYPERVISOR_vcpu_op, operation, id, address);

function runstateAt(address: bigint) {
  host.enter();
  const bytes = host.hv.access.copyFrom(address, abi.VcpuRunstateInfo.size)!;
  return abi.VcpuRunstateInfo.at(new DataView(bytes.buffer));
}

describe('going down and coming up', () => {
  it('keeps the registers; the vCPU does not run meanwhile', () => {
    expect(vcpuOp(abi.VCPUOP_down, 1)).toBe(0);
    expect(vcpuOp(abi.VCPUOP_is_up, 1)).toBe(0);
    host.hv.run(5_000_000);
    expect(second.retired).toBe(0);
    expect(vcpuOp(abi.VCPUOP_up, 1)).toBe(0);
    expect(vcpuOp(abi.VCPUOP_is_up, 1)).toBe(1);
    host.enter(second);
    expect(host.cpu.regs.rip).toBe(SECOND_RIP);
  });

  it('the others go on when one goes down; the last one powers off', () => {
    expect(vcpuOp(abi.VCPUOP_down, 0)).toBe(0);
    expect(host.domain.shuttingDown).toBe(false);
    host.hypercallOf(second, abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_down, 1);
    host.hv.run(10);
    expect(host.shutdowns).toEqual([[1, abi.SHUTDOWN_poweroff]]);
  });

  it('vcpu_info of another vCPU moves only while that is down', () => {
    host.poke(arg, BigInt(host.frame(5)), 0x40, 0);
    expect(vcpuOp(abi.VCPUOP_register_vcpu_info, 1, arg)).toBe(-abi.EINVAL);
    expect(vcpuOp(abi.VCPUOP_down, 1)).toBe(0);
    expect(vcpuOp(abi.VCPUOP_register_vcpu_info, 1, arg)).toBe(0);
    expect(second.vcpuInfo).toBe(host.frame(5) * 4096 + 0x40);
  });
});

describe('the runstate area', () => {
  beforeEach(() => {
    host.poke(arg, host.at(5));
    expect(vcpuOp(abi.VCPUOP_register_runstate_memory_area, 0, arg)).toBe(0);
  });

  /** As the second vCPU finds it when it has the processor. */
  const stateSeen = () => {
    host.enter(second);
    const mfn = host.frame(5);
    return abi.VcpuRunstateInfo.at(host.machine.view, mfn * 4096).state;
  };

  it('tells the other vCPUs that its vCPU lost the processor, and how long it waited for it', () => {
    expect(runstateAt(host.at(5)).state).toBe(abi.RUNSTATE_running);
    expect(stateSeen()).toBe(abi.RUNSTATE_runnable);
    host.hv.clock.advance(5_000);
    host.enter(first);
    const info = runstateAt(host.at(5));
    expect(info.state).toBe(abi.RUNSTATE_running);
    expect(info.time.get(abi.RUNSTATE_runnable)).toBeGreaterThanOrEqual(5_000n);
    expect(info.state_entry_time).toBe(BigInt(host.hv.clock.now));
  });

  it('tells that its vCPU waits', () => {
    host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    expect(stateSeen()).toBe(abi.RUNSTATE_blocked);
  });

  it('does not count what passed since the state began: the guest adds that itself', () => {
    host.hv.clock.advance(700);
    const before = runstateAt(host.at(5)).time.get(abi.RUNSTATE_running);
    vcpuOp(abi.VCPUOP_register_runstate_memory_area, 0, arg);
    expect(runstateAt(host.at(5)).time.get(abi.RUNSTATE_running)).toBe(before);
    expect(vcpuOp(abi.VCPUOP_get_runstate_info, 0, host.at(6))).toBe(0);
    expect(runstateAt(host.at(6)).time.get(abi.RUNSTATE_running)).toBeGreaterThanOrEqual(before + 700n);
  });
});

describe('runstate', () => {
  it.each([
    ['initialised and up', [], RUNSTATE.runnable],
    ['blocked', [abi.SCHEDOP_block], RUNSTATE.blocked],
    ['down', [], RUNSTATE.offline, abi.VCPUOP_down],
    ['down while blocked: blocked dominates', [abi.SCHEDOP_block], RUNSTATE.blocked, abi.VCPUOP_down],
  ])('%s', (_, ops, state, operation?: number) => {
    for (const op of ops) host.hypercallOf(second, abi.__HYPERVISOR_sched_op, op);
    if (operation !== undefined) vcpuOp(operation, 1);
    expect(vcpuOp(abi.VCPUOP_get_runstate_info, 1, host.at(6))).toBe(0);
    expect(runstateAt(host.at(6)).state).toBe(state);
  });

  it('of a vCPU that was never initialised: offline since the beginning', () => {
    host.hv.clock.advance(1_234);
    expect(vcpuOp(abi.VCPUOP_get_runstate_info, 2, host.at(6))).toBe(0);
    const info = runstateAt(host.at(6));
    expect(info.state).toBe(abi.RUNSTATE_offline);
    expect(info.time.get(abi.RUNSTATE_offline)).toBeGreaterThanOrEqual(1_234n);
  });
});

describe('waiting', () => {
  const poll = (vcpu: Vcpu, page: number, ports: number[]) => {
    host.poke(host.at(page), ...ports);
    host.poke(host.at(page, 0x100), host.at(page), ports.length, 0, 0n);
    return host.hypercallOf(vcpu, abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, host.at(page, 0x100));
  };

  it('SCHEDOP_poll: an event wakes the vCPU that polls its port, and no other; one with many ports wakes for any', () => {
    const { events } = host.hv;
    const [mine, yours] = [events.bindIpi(1, 0), events.bindIpi(1, 1)];
    for (const vcpu of [first, second]) host.hv.info.setUpcallMask(vcpu, 1);
    expect(poll(first, 3, [mine])).toBe(0);
    expect(poll(second, 4, [yours])).toBe(0);
    events.send(1, yours);
    expect([first.blocked, second.blocked]).toEqual([true, false]);
    expect(poll(second, 4, [mine, mine])).toBe(0);
    expect(second.blocked).toBe(true);
    events.send(1, mine);
    expect([first.blocked, second.blocked]).toEqual([false, false]);
  });

  it('an IPI wakes the vCPU that its port is bound to', () => {
    const port = host.hv.events.bindIpi(1, 1);
    host.hypercallOf(second, abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    host.hv.events.send(1, port);
    expect([first.blocked, second.blocked]).toEqual([true, false]);
  });

  it('an NMI wakes a vCPU and enters its handler, one at a time', () => {
    second.traps.set(VECTOR.nmi, HANDLER, abi.FLAT_KERNEL_CS64, 4);
    host.hv.info.setUpcallMask(second, 1);
    host.hypercallOf(second, abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    expect(vcpuOp(abi.VCPUOP_send_nmi, 1, 1)).toBe(-abi.EINVAL);
    expect(vcpuOp(abi.VCPUOP_send_nmi, 1)).toBe(0);
    expect(second.blocked).toBe(false);
    const seen: bigint[] = [];
    host.cpu.script.push(() => {
      seen.push(host.cpu.regs.rip);
      return Exit.budget;
    });
    first.blocked = true;
    host.hv.refresh(first);
    host.hv.run(1);
    expect(seen).toEqual([HANDLER]);
    expect([second.nmiPending, second.nmiMasked]).toEqual([false, true]);
    vcpuOp(abi.VCPUOP_send_nmi, 1);
    host.hv.run(1);
    expect(second.nmiPending).toBe(true);
  });
});

describe('the processor', () => {
  it('goes back to the host although a vCPU does nothing but exit', () => {
    vcpuOp(abi.VCPUOP_down, 1);
    host.cpu.budgets.length = 0;
    for (let i = 0; i < 2000; i++) host.cpu.script.push(() => Exit.pause);
    expect(host.hv.run(100_000)).toEqual({ kind: 'busy' });
    expect(host.cpu.budgets.length).toBeLessThan(501);
  });

  it('goes on, when time has stood still, as if the answer had been there', async () => {
    /** Who ran, from when on and for how long, and when the answers came. */
    const course = async (isLate: boolean): Promise<unknown[]> => {
      const { hv, cpu, start } = testHost({ clock: 'virtual' }, { vcpus: 2 });
      start(1, SECOND_RIP);
      const log: unknown[] = [];
      const answers: (() => void)[] = [];
      for (const latency of [300_001, 300_001, 1_250_007, 2_000_000, 2_600_003]) {
        const work = new Promise<void>((resolve) => answers.push(resolve));
        hv.completions.submit(work, latency, () => log.push(`answer at ${hv.clock.now}`));
      }
      if (!isLate) for (const answer of answers.splice(0)) answer();
      let waits = 0;
      const run = cpu.run.bind(cpu);
      cpu.run = (budget) => {
        log.push([hv.current?.vcpuId, hv.clock.now, budget]);
        return run(budget);
      };
      while (hv.clock.now < 4_000_000) {
        await new Promise((resolve) => setImmediate(resolve));
        hv.run(700_000);
        if (!hv.completions.overdue) continue;
        waits++;
        answers.shift()!();
      }
      expect(waits).toBe(isLate ? 5 : 0);
      return log;
    };
    const late = await course(true);
    expect(late.length).toBeGreaterThan(12);
    expect(late).toEqual(await course(false));
  });

  it('a slice that stood still is over when its vCPU is told to wait meanwhile', async () => {
    const { hv, vcpu, start } = testHost({ clock: 'virtual' }, { vcpus: 2 });
    const both = [vcpu, start(1, SECOND_RIP)];
    hv.run(3_000_000);
    let answer = (): void => {};
    const work = new Promise<void>((resolve) => {
      answer = resolve;
    });
    hv.completions.submit(work, 100, () => {});
    expect(hv.run(700_000)).toEqual({ kind: 'idle', sleepNs: undefined });
    const before = both.map(({ retired }) => retired);
    const halted = both.indexOf(hv.current!);
    hv.current!.blocked = true;
    hv.refresh(hv.current!);
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    hv.run(700_000);
    const ran = both.map(({ retired }, i) => retired > before[i]!);
    expect([ran[halted], ran[1 - halted]]).toEqual([false, true]);
  });

  it('goes back to the host when a vCPU yields that may wait for an answer from outside', async () => {
    for (const clock of ['real', 'virtual'] as const) {
      const polling = testHost({ clock });
      const yields = () => {
        polling.cpu.regs.gpr[0] = BigInt(abi.__HYPERVISOR_sched_op);
        polling.cpu.regs.gpr[7] = BigInt(abi.SCHEDOP_yield);
        return Exit.syscall;
      };
      const runs = () => {
        polling.cpu.budgets.length = 0;
        polling.cpu.script.splice(0, 20, ...Array.from({ length: 20 }, () => yields));
        polling.hv.run(5_000);
        return polling.cpu.budgets.length;
      };
      expect(runs()).toBeGreaterThan(10);
      const log: string[] = [];
      polling.hv.completions.submit(Promise.resolve(), 1e9, () => log.push('answer'));
      if (clock === 'real') expect(runs()).toBe(1);
      else expect(runs()).toBeGreaterThan(10);
      await new Promise((resolve) => setImmediate(resolve));
      expect(runs()).toBeGreaterThan(10);
      expect(log).toEqual(clock === 'real' ? ['answer'] : []);
    }
  });

  it('is given up by a vCPU that spins with PAUSE, if another one waits for it', () => {
    const ran: number[] = [];
    const pause = () => {
      ran.push(host.hv.current!.vcpuId);
      return Exit.pause;
    };
    host.cpu.script.push(pause, pause, pause, pause);
    // An instruction, a nanosecond and the cost of the exit, four times.
    host.hv.run(4 * 202);
    expect(ran).toEqual([0, 1, 0, 1]);
    vcpuOp(abi.VCPUOP_down, 1);
    ran.length = 0;
    host.cpu.script.length = 0;
    host.cpu.budgets.length = 0;
    host.cpu.script.push(pause, pause);
    host.hv.run(1_000);
    expect(ran).toEqual([0, 0]);
    expect(first.runstate.state).toBe(RUNSTATE.running);
  });
});

describe('timers', () => {
  it('a periodic timer that is set for another vCPU ticks while that waits', () => {
    const port = host.hv.events.bindVirq(1, abi.VIRQ_TIMER, 1);
    host.hypercallOf(second, abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    host.poke(arg, 2_000_000n);
    host.hv.clock.advance(10_000_000);
    expect(vcpuOp(abi.VCPUOP_set_periodic_timer, 1, arg)).toBe(0);
    expect(host.hv.events.isPending(1, port)).toBe(1);
    expect(second.blocked).toBe(false);
  });

  it('ticks that wake nobody do not hold the host', () => {
    host.poke(arg, 1_000_000n);
    expect(vcpuOp(abi.VCPUOP_set_periodic_timer, 2, arg)).toBe(0);
    for (const vcpu of [first, second]) host.hypercallOf(vcpu, abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    expect(host.hv.run(10_000)).toEqual({ kind: 'busy' });
  });
});

describe('a crash', () => {
  it('of the second vCPU is reported with what every other one did', () => {
    host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    host.enter(second);
    host.cpu.vector = VECTOR.invalidOpcode;
    host.hv.handle(Exit.exception);
    const report = host.domain.crashReport!;
    expect(report).toMatchObject({ vcpu: 1, state: 'running', rip: SECOND_RIP, kernelMode: true });
    expect(report.reason).toMatch(/#UD/);
    expect(report.others).toHaveLength(1);
    expect(report.others[0]).toMatchObject({ vcpu: 0, state: 'blocked', cr3: BigInt(host.frame(16)) });
    expect(report.others[0]!.gpr[4]).toBe(BASE + 0xf000n + 0xff8n);
    expect(report.others[0]!.stack.length).toBeGreaterThan(0);
    expect(report.others[0]!.recent.at(-1)).toMatchObject({ code: abi.__HYPERVISOR_sched_op });
    // The processor is the second vCPU's again.
    expect(host.cpu.regs.rip).toBe(SECOND_RIP);
    expect(host.hv.current).toBe(second);
  });

  it('by the watchdog is reported too, though nobody ran', () => {
    host.poke(arg, 0, 1);
    host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_watchdog, arg);
    for (const vcpu of [second, first]) host.hypercallOf(vcpu, abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    host.hv.run(10_000);
    const report = host.domain.crashReport!;
    expect([report, ...report.others].map(({ vcpu, state }) => [vcpu, state])).toEqual([
      [0, 'blocked'],
      [1, 'blocked'],
    ]);
  });
});
