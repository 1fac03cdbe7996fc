import {
  EFAULT,
  EINVAL,
  ENOSPC,
  EPERM,
  ESRCH,
  SCHEDOP_block,
  SCHEDOP_yield,
  SchedPoll,
  SchedRemoteShutdown,
  SchedShutdown,
  SchedWatchdog,
  SHUTDOWN_watchdog,
} from '@xenolith/xen-abi';
import { type Accessed, Operations, plain, refused, refusedAfter, taking } from '../operations.js';
import { type Call, u64 } from './call.js';

const MAX_POLL_PORTS = 128;
const NS_PER_SECOND = 1_000_000_000;
/** Time-outs that wrapped, or lie more than 2^50 ns ahead, fire after 100 ms: old guests mean "never" or "now" by them. */
const FAR = 2 ** 50;
const FAR_REPLACEMENT = 100_000_000;

export const SCHED_OPERATIONS = new Operations<Call, 'SCHEDOP_'>('SCHEDOP_', {
  yield: plain(({ hv }) => {
    hv.yieldVcpu();
    return 0;
  }),
  block: plain(({ hv, vcpu }) => {
    hv.info.setUpcallMask(vcpu, 0);
    if (!hv.info.mustDeliver(vcpu)) hv.blockVcpu(vcpu);
    return 0;
  }),
  shutdown: taking(SchedShutdown, ({ domain, hv }, { reason }) => {
    hv.shutdownDomain(domain, reason & 0xff);
    return 0;
  }),
  shutdown_code: taking(SchedShutdown, ({ domain }, { reason }) => {
    domain.shutdownCode ??= reason & 0xff;
    return 0;
  }),
  poll: taking(SchedPoll, poll),
  remote_shutdown: refusedAfter(
    EPERM,
    'domU',
    taking(SchedRemoteShutdown, ({ hv }, { domain_id: domid }) => (hv.exists(domid) ? -EPERM : -ESRCH)),
  ),
  watchdog: taking(SchedWatchdog, watchdog),
  pin_override: refused(EPERM, 'domU'),
});

/** The old sched_op: the shutdown reason is the argument itself. */
export const SCHED_COMPAT_OPERATIONS = new Operations<Call, 'SCHEDOP_'>('SCHEDOP_', {
  yield: plain((call) => SCHED_OPERATIONS.make(SCHEDOP_yield, call, 0n)),
  block: plain((call) => SCHED_OPERATIONS.make(SCHEDOP_block, call, 0n)),
  shutdown: plain(({ domain, hv }, reason) => {
    hv.shutdownDomain(domain, Number(reason & 0xffn));
    return 0;
  }),
});

function poll({ domain, guest, hv, vcpu }: Call, request: Accessed<(typeof SchedPoll)['fields']>): number {
  const { nr_ports: count, ports: array, timeout } = request;
  if (count > MAX_POLL_PORTS) return -EINVAL;
  if (!guest.inRange(array, count * 4)) return -EFAULT;
  if (hv.info.mustDeliver(vcpu)) return 0;
  const ports: number[] = [];
  for (let i = 0; i < count; i++) {
    const port = guest.readU32(array + BigInt(i * 4));
    if (port === undefined) return -EFAULT;
    const pending = hv.events.isPending(domain.domid, port);
    if (pending !== 0) return Math.min(pending, 0);
    ports.push(port);
  }
  hv.events.poll(domain.domid, vcpu.vcpuId, ports);
  vcpu.polling = ports;
  if (timeout !== 0n) {
    // Behind 2^63 it is a time that is over.
    const deadline = Number(BigInt.asIntN(64, timeout));
    vcpu.pollTimer = hv.timers.set(deadline, () => hv.unblockVcpu(vcpu));
  }
  hv.blockVcpu(vcpu);
  return 0;
}

function watchdog({ domain, hv }: Call, request: Accessed<(typeof SchedWatchdog)['fields']>): number {
  const { id, timeout } = request;
  const { watchdogs } = domain;
  const start = (n: number) => {
    hv.timers.cancel(watchdogs[n]);
    watchdogs[n] = hv.timers.set(hv.clock.now + timeout * NS_PER_SECOND, () => {
      hv.log.log('warn', 'sched', `Watchdog timer ${n} of domain ${domain.domid} fired.`);
      hv.shutdownDomain(domain, SHUTDOWN_watchdog);
    });
  };
  if (id > watchdogs.length) return -EINVAL;
  if (id === 0) {
    const free = watchdogs.indexOf(undefined);
    // Xen's result is an unsigned 32-bit value here, by an accident of C that guests can see.
    if (free < 0) return 2 ** 32 - ENOSPC;
    start(free);
    return free + 1;
  }
  if (!watchdogs[id - 1]) return -EINVAL;
  if (timeout === 0) {
    hv.timers.cancel(watchdogs[id - 1]);
    watchdogs[id - 1] = undefined;
  } else start(id - 1);
  return 0;
}

/** set_timer_op: one timer a vCPU, the same that VCPUOP_set_singleshot_timer sets; 0 stops it. */
export function setTimerOp(call: Call): number {
  const { hv, vcpu } = call;
  const timeout = Number(BigInt.asIntN(64, u64(call, 0)));
  if (timeout === 0) hv.stopSingleshot(vcpu);
  else if (timeout < 0 || timeout - hv.clock.now >= FAR)
    hv.startSingleshot(vcpu, hv.clock.now + FAR_REPLACEMENT);
  else hv.startSingleshot(vcpu, timeout);
  return 0;
}
