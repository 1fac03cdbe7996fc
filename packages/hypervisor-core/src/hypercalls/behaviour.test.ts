import type { TraceEvent } from '@xenolith/host-interface';
import * as abi from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { GPR } from '../arch/x86.js';
import { RUNSTATE } from '../sched/runstate.js';
import { testHost } from '../testing/test-host.js';

describe('xen_version', () => {
  it('says what it is', () => {
    const host = testHost();
    const at = host.at(2);
    const ask = (command: number, length: number) => {
      expect(host.hypercall(abi.__HYPERVISOR_xen_version, command, at)).toBe(0);
      return new TextDecoder().decode(host.hv.access.copyFrom(at, length)).replace(/\0.*$/s, '');
    };
    expect(ask(abi.XENVER_extraversion, 16)).toBe('.7');
    expect(ask(abi.XENVER_capabilities, 1024)).toBe('xen-3.0-x86_64 ');
    expect(ask(abi.XENVER_commandline, 16)).toBe('<denied>');
    host.hypercall(abi.__HYPERVISOR_xen_version, abi.XENVER_platform_parameters, at);
    expect(host.hv.access.readU64(at)).toBe(abi.HYPERVISOR_VIRT_START);
    host.poke(at, 0, 0);
    host.hypercall(abi.__HYPERVISOR_xen_version, abi.XENVER_get_features, at);
    const submap = host.hv.access.readU32(at + 4n)!;
    const bits = Object.entries(abi).filter(
      ([n, bit]) => n.startsWith('XENFEAT_') && typeof bit === 'number',
    );
    const set = bits
      .filter(([n, bit]) => n !== 'XENFEAT_NR_SUBMAPS' && (submap >>> (bit as number)) & 1)
      .map(([n]) => n);
    expect(set.sort()).toEqual([
      'XENFEAT_direct_mapped',
      'XENFEAT_gnttab_map_avail_bits',
      'XENFEAT_highmem_assist',
      'XENFEAT_memory_op_vnode_supported',
      'XENFEAT_mmu_pt_update_preserve_ad',
    ]);
  });
});

describe('multicall', () => {
  it('makes each call, writes each result, refuses nesting', () => {
    const host = testHost();
    const list = host.at(2);
    const call = (op: number, ...args: (number | bigint)[]) => [
      BigInt(op),
      0n,
      ...[0, 1, 2, 3, 4, 5].map((i) => BigInt(args[i] ?? 0)),
    ];
    host.poke(
      list,
      ...call(abi.__HYPERVISOR_xen_version, abi.XENVER_version),
      ...call(abi.__HYPERVISOR_multicall, list, 1),
      ...call(abi.__HYPERVISOR_stack_switch, 0xe02b, 0x4000n),
      ...call(99),
    );
    expect(host.hypercall(abi.__HYPERVISOR_multicall, list, 4)).toBe(0);
    const results = [0n, 1n, 2n, 3n].map((i) =>
      BigInt.asIntN(64, host.hv.access.readU64(list + i * 64n + 8n)!),
    );
    expect(results).toEqual([0x4_0011n, BigInt(-abi.EINVAL), 0n, BigInt(-abi.ENOSYS)]);
    expect(host.vcpu.kernelSp).toBe(0x4000n);
  });

  it('goes on after a call that blocked', () => {
    const host = testHost();
    const list = host.at(2);
    const words = (op: number, first: number) => [BigInt(op), 7n, BigInt(first), 0n, 0n, 0n, 0n, 0n];
    host.poke(
      list,
      ...words(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block),
      ...words(abi.__HYPERVISOR_xen_version, 0),
    );
    expect(host.hypercall(abi.__HYPERVISOR_multicall, list, 2)).toBe(abi.__HYPERVISOR_multicall);
    expect(host.vcpu.runnable).toBe(false);
    const { gpr } = host.cpu.regs;
    expect([gpr[GPR.rdi], gpr[GPR.rsi]]).toEqual([list + 64n, 1n]);
  });
});

describe('timers and events', () => {
  it('a single-shot timer raises VIRQ_TIMER, wakes the vCPU and is delivered as an upcall with the mask set', () => {
    const host = testHost();
    const { hv, vcpu } = host;
    const port = hv.events.bindVirq(1, abi.VIRQ_TIMER, 0);
    vcpu.event = { address: 0xffff_ffff_8200_0000n, masksEvents: true };
    host.poke(host.at(2), 5_000n, 0n);
    host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_stop_periodic_timer, 0);
    expect(host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_set_singleshot_timer, 0, host.at(2))).toBe(0);
    host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    expect(vcpu.blocked).toBe(true);
    expect(vcpu.runstate.state).toBe(RUNSTATE.blocked);
    hv.run(100);
    expect(hv.clock.now).toBeGreaterThanOrEqual(5_000);
    expect(hv.events.isPending(1, port)).toBe(1);
    expect(host.cpu.regs.rip).toBe(0xffff_ffff_8200_0000n);
    expect(hv.info.upcallMask(vcpu)).toBe(1);
    expect(vcpu.runstate.times[RUNSTATE.blocked]).toBeGreaterThan(4_000);
  });

  it('SCHEDOP_poll waits for its port or its time-out, though events are masked', () => {
    for (const by of ['event', 'timeout']) {
      const host = testHost();
      const { hv, vcpu } = host;
      const port = hv.events.bindIpi(1, 0);
      hv.info.setUpcallMask(vcpu, 1);
      host.poke(host.at(3), port);
      host.poke(host.at(2), host.at(3), 1, 0, by === 'timeout' ? 9_000n : 0n);
      expect(host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, host.at(2))).toBe(0);
      expect(vcpu.blocked).toBe(true);
      if (by === 'event') hv.events.send(1, port);
      else hv.run(10);
      expect(vcpu.blocked).toBe(false);
      expect(vcpu.polling).toBeUndefined();
    }
  });

  // xen/common/domain.c and sched/core.c: the deadline goes to set_timer as a signed number.
  it('a time-out of more than 2^63 is over', () => {
    const host = testHost();
    const { hv, vcpu } = host;
    const port = hv.events.bindVirq(1, abi.VIRQ_TIMER, 0);
    host.poke(host.at(2), 1n << 63n, 0n);
    expect(host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_set_singleshot_timer, 0, host.at(2))).toBe(0);
    expect(hv.events.isPending(1, port)).toBe(1);
    host.poke(host.at(2), 0n, 0, 0, 1n << 63n);
    expect(host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, host.at(2))).toBe(0);
    hv.run(10);
    expect(vcpu.polling).toBeUndefined();
  });

  // force_update_vcpu_system_time of xen/arch/x86/time.c
  it('the time area of another vCPU is filled at once', () => {
    const host = testHost({}, { vcpus: 2 });
    host.start(1, host.at(1));
    host.poke(host.at(2), host.at(5));
    const rc = host.hypercall(
      abi.__HYPERVISOR_vcpu_op,
      abi.VCPUOP_register_vcpu_time_memory_area,
      1,
      host.at(2),
    );
    expect(rc).toBe(0);
    const bytes = host.hv.access.copyFrom(host.at(5), abi.VcpuTimeInfo.size)!;
    expect(abi.VcpuTimeInfo.at(new DataView(bytes.buffer, bytes.byteOffset), 0).tsc_shift).toBe(1);
  });

  it('a budget never runs past the next timer', () => {
    const host = testHost();
    host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_stop_periodic_timer, 0);
    host.hypercall(abi.__HYPERVISOR_set_timer_op, 1_234);
    host.hv.run(10_000);
    expect(host.cpu.budgets[0]).toBeLessThanOrEqual(1_234);
  });

  it('the time record says nanoseconds, with an even version', () => {
    const host = testHost();
    const time = abi.VcpuInfo.at(host.machine.view, host.vcpu.vcpuInfo).time;
    expect(time.version % 2).toBe(0);
    expect([time.tsc_to_system_mul, time.tsc_shift]).toEqual([0x8000_0000, 1]);
    expect(time.system_time).toBe(time.tsc_timestamp);
    const shared = abi.SharedInfo.at(host.machine.view, host.domain.sharedInfo * 4096);
    expect([shared.wc_sec, shared.wc_nsec, shared.wc_version % 2]).toEqual([1_700_000_000, 123_456_789, 0]);
  });
});

describe('vcpu_info', () => {
  it('moves with its contents, and everything counts as pending once', () => {
    const host = testHost();
    const { hv, vcpu, machine } = host;
    hv.info.setUpcallMask(vcpu, 0);
    const before = vcpu.vcpuInfo;
    host.poke(host.at(2), BigInt(host.frame(5)), 0x40, 0);
    const register = () =>
      host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_register_vcpu_info, 0, host.at(2));
    hv.info.setUpcallMask(vcpu, 1);
    expect(register()).toBe(0);
    expect(vcpu.vcpuInfo).toBe(host.frame(5) * 4096 + 0x40);
    expect(vcpu.vcpuInfo).not.toBe(before);
    const info = abi.VcpuInfo.at(machine.view, vcpu.vcpuInfo);
    expect([info.evtchn_upcall_pending, info.evtchn_upcall_mask]).toEqual([1, 1]);
    expect(info.evtchn_pending_sel).toBe(0xffff_ffff_ffff_ffffn);
    expect(register()).toBe(-abi.EINVAL);
  });
});

describe('shutdown', () => {
  it.each([[abi.SHUTDOWN_poweroff], [abi.SHUTDOWN_reboot], [abi.SHUTDOWN_crash]])(
    'reason %i stops the domain and is reported',
    (reason) => {
      const host = testHost();
      host.poke(host.at(2), reason);
      host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_shutdown, host.at(2));
      expect(host.hv.run(10)).toEqual({ kind: 'stopped' });
      expect(host.shutdowns).toEqual([[1, reason]]);
    },
  );

  it('the watchdog fires unless it is fed', () => {
    const host = testHost();
    host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_stop_periodic_timer, 0);
    host.poke(host.at(2), 0, 1);
    expect(host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_watchdog, host.at(2))).toBe(1);
    host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_block);
    host.hv.run(10);
    expect(host.shutdowns).toEqual([[1, abi.SHUTDOWN_watchdog]]);
  });

  it('the last vCPU that goes down powers off', () => {
    const host = testHost();
    host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_down, 0, 0);
    host.hv.run(10);
    expect(host.shutdowns).toEqual([[1, abi.SHUTDOWN_poweroff]]);
  });
});

describe('a second vCPU', () => {
  it('is initialised, brought up, and takes its turn with registers of its own', () => {
    const host = testHost({}, { vcpus: 2 });
    const { hv, domain } = host;
    const context = abi.VcpuGuestContext.create();
    context.flags = BigInt(abi.VGCF_in_kernel);
    context.user_regs.rip = 0x40_3000n;
    context.user_regs.rsp = host.at(14);
    context.user_regs.rdi = 0x77n;
    context.user_regs.cs = abi.FLAT_KERNEL_CS64;
    context.user_regs.ss = abi.FLAT_KERNEL_SS64;
    context.ctrlreg.set(3, BigInt(host.frame(16)) << 12n);
    host.enter();
    expect(hv.access.copyTo(host.at(4), new Uint8Array(context.$view.buffer))).toBe(true);
    expect(host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_initialise, 1, host.at(4))).toBe(0);
    expect(host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_initialise, 1, host.at(4))).toBe(-abi.EEXIST);
    expect(host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_up, 1)).toBe(0);
    const seen: bigint[] = [];
    const note = () => {
      seen.push(host.cpu.regs.rip);
      host.hv.yieldVcpu();
      return 0 as const;
    };
    host.cpu.regs.rip = 0x40_1000n;
    host.cpu.script.push(note, note, note, note);
    hv.run(1000);
    expect(new Set(seen)).toEqual(new Set([0x40_1000n, 0x40_3000n]));
    expect(seen[0]).toBe(seen[2]);
    expect(domain.vcpus[1]!.retired).toBeGreaterThan(0);
  });
});

describe('a trace of hypercalls', () => {
  it('shows names and the numbers in a structure instead of a pointer to it', () => {
    const events: TraceEvent[] = [];
    const host = testHost({
      trace: { wants: (kind) => kind === 'hypercall', emit: (event) => events.push(event) },
    });
    const at = host.at(2);
    host.poke(at, abi.VIRQ_DEBUG, 0, 0);
    const op = (command: number, arg: bigint) =>
      host.hypercall(abi.__HYPERVISOR_event_channel_op, command, arg);
    expect(op(abi.EVTCHNOP_bind_virq, at)).toBe(0);
    op(abi.EVTCHNOP_send, 0x10n);
    op(99, at);
    const port = BigInt(host.hv.access.readU32(at + 8n)!);
    expect(port).toBeGreaterThan(0n);
    expect(events.map(({ args }) => args)).toEqual([
      { cmd: 'EVTCHNOP_bind_virq', virq: BigInt(abi.VIRQ_DEBUG), vcpu: 0n, port },
      { cmd: 'EVTCHNOP_send', arg: 0x10n },
      { cmd: 99n, arg: at },
    ]);
  });

  it('shows the first elements of a list', () => {
    const events: TraceEvent[] = [];
    const host = testHost({
      trace: { wants: (kind) => kind === 'hypercall', emit: (event) => events.push(event) },
    });
    const at = host.at(2);
    host.poke(at, 0x1000n, 0x67n, 0x2001n, 3n);
    host.hypercall(abi.__HYPERVISOR_mmu_update, at, 2, 0, abi.DOMID_SELF);
    host.poke(at, abi.MMUEXT_INVLPG_LOCAL, 0, 0xabcd000n, 0n, abi.MMUEXT_TLB_FLUSH_LOCAL, 0, 0n, 0n);
    host.hypercall(abi.__HYPERVISOR_mmuext_op, at, 2, 0, abi.DOMID_SELF);
    for (let page = 4; page < 9; page++) host.poke(host.at(page), 0n);
    host.hypercall(abi.__HYPERVISOR_grant_table_op, abi.GNTTABOP_swap_grant_ref, host.at(4), 6);
    host.hypercall(abi.__HYPERVISOR_mmu_update, 0x10, 3, 0, abi.DOMID_SELF);
    host.hypercall(abi.__HYPERVISOR_mmuext_op, 0x10, 0, 0, abi.DOMID_SELF);
    const [update, ext, grant, bad, none] = events.map(({ args }) => args!);
    expect(update).toMatchObject({
      requests: '[{MMU_NORMAL_PT_UPDATE ptr=0x1000 val=0x67}, {MMU_MACHPHYS_UPDATE ptr=0x2001 val=3}]',
      count: 2n,
    });
    expect(ext!.ops).toBe(
      '[{MMUEXT_INVLPG_LOCAL arg1=0xabcd000 arg2=0}, {MMUEXT_TLB_FLUSH_LOCAL arg1=0 arg2=0}]',
    );
    expect(grant!.cmd).toBe('GNTTABOP_swap_grant_ref');
    expect(grant!.ops).toBe(`[${'{ref_a=0 ref_b=0 status=0}, '.repeat(4)}2 more]`);
    expect(bad!.requests).toBe(0x10n);
    expect(none!.ops).toBe('[]');
  });
});
