import type { Clock, EventChannels, Guest } from '@xenolith/guest-api';
import { createNativeDomain, type Hypervisor } from '@xenolith/hypervisor-core';
import { DOMID_SELF } from '@xenolith/xen-abi';
import { nativeGrants } from './native-grants.js';
import { nativeMemory } from './native-memory.js';

/** A native domain as guests written in TypeScript use it (`guest-api`), without a xenstore connection yet. */
export type NativeGuest = Omit<Guest, 'xenstore'>;

/** Makes a native domain on the host. Handlers of events run between guest instructions, never inside a hypercall. */
export function createNativeGuest(
  hv: Hypervisor,
  options: { domid: number; privileged?: boolean },
): NativeGuest {
  const { domid } = options;
  const handlers = new Map<number, () => void>();
  // Events that come before their handler ran are one event.
  const waiting = new Set<number>();
  const domain = createNativeDomain(hv, {
    ...options,
    onEvent(port) {
      waiting.delete(port);
      handlers.get(port)?.();
    },
    wantsEvent(port) {
      if (waiting.has(port)) return false;
      waiting.add(port);
      return true;
    },
  });

  const eventChannels: EventChannels = {
    allocUnbound: (remote) => hv.events.allocUnbound(domid, DOMID_SELF, remote),
    bindInterdomain: (remote, remotePort) => hv.events.bindInterdomain(domid, remote, remotePort),
    send: (port) => hv.events.send(domid, port),
    close(port) {
      handlers.delete(port);
      return hv.events.close(domid, port);
    },
    onEvent(port, handler) {
      if (handler) handlers.set(port, handler);
      else handlers.delete(port);
    },
  };
  return {
    domid,
    eventChannels,
    grants: nativeGrants(hv, domid),
    memory: nativeMemory(hv, domain),
    clock: nativeClock(hv),
  };
}

function nativeClock(hv: Hypervisor): Clock {
  return {
    now: () => hv.clock.now,
    after(ns, done) {
      // Timers expire inside the hypervisor's loop; what a domain does then is deferred, as its events are.
      const timer = hv.timers.set(hv.clock.now + Math.max(0, ns), () => hv.defer(done));
      return () => hv.timers.cancel(timer);
    },
    completion: (work, latencyNs, done) => hv.completions.submit(work, latencyNs, done),
  };
}
