import type { Clock, EventChannels, Guest } from '@xenolith/guest-api';
import {
  createNativeDomain,
  destroyNativeDomain,
  type Hypervisor,
  type NativeDomain,
} from '@xenolith/hypervisor-core';
import { DOMID_SELF, ESRCH } from '@xenolith/xen-abi';
import { nativeGrants } from './native-grants.js';
import { nativeMemory } from './native-memory.js';

/** A native domain as guests written in TypeScript use it (`guest-api`), without a xenstore connection yet. */
export interface NativeGuest extends Omit<Guest, 'xenstore'> {
  readonly domain: NativeDomain;
  /** Takes the domain apart. What its code still does then comes to nothing: errors, and events that never arrive. */
  destroy(): void;
}

export interface NativeGuestOptions {
  /** Default: the next one. */
  domid?: number;
  /** May act on other domains as domain 0 may. */
  privileged?: boolean;
  /** A handler of events, timers or completions has thrown. Default: `Hypervisor.run` throws that. */
  onError?(error: unknown): void;
}

/** Makes a native domain on the host. Handlers of events run between guest instructions, never inside a hypercall. */
export function createNativeGuest(hv: Hypervisor, options: NativeGuestOptions = {}): NativeGuest {
  const { onError, ...settings } = options;
  /** Calls a handler of the guest's, if it still lives. */
  const call = (handler: () => void): void => {
    if (domain.dying) return;
    try {
      handler();
    } catch (error) {
      if (!onError) throw error;
      onError(error);
    }
  };
  const handlers = new Map<number, () => void>();
  // Events that come before their handler ran are one event.
  const waiting = new Set<number>();
  const domain = createNativeDomain(hv, {
    ...settings,
    onEvent(port) {
      waiting.delete(port);
      const handler = handlers.get(port);
      if (handler) call(handler);
    },
    wantsEvent(port) {
      if (waiting.has(port)) return false;
      waiting.add(port);
      return true;
    },
  });
  const { domid } = domain;
  const ifAlive = (hypercall: () => number): number => (domain.dying ? -ESRCH : hypercall());

  const eventChannels: EventChannels = {
    allocUnbound: (remote) => ifAlive(() => hv.events.allocUnbound(domid, DOMID_SELF, remote)),
    bindInterdomain: (remote, port) => ifAlive(() => hv.events.bindInterdomain(domid, remote, port)),
    send: (port) => ifAlive(() => hv.events.send(domid, port)),
    close(port) {
      handlers.delete(port);
      return ifAlive(() => hv.events.close(domid, port));
    },
    onEvent(port, handler) {
      if (handler && !domain.dying) handlers.set(port, handler);
      else handlers.delete(port);
    },
  };
  const memory = nativeMemory(hv, domain);
  return {
    domid,
    domain,
    eventChannels,
    grants: nativeGrants(hv, domain),
    memory,
    clock: nativeClock(hv, call),
    destroy() {
      handlers.clear();
      destroyNativeDomain(hv, domain);
    },
  };
}

function nativeClock(hv: Hypervisor, call: (handler: () => void) => void): Clock {
  return {
    now: () => hv.clock.now,
    after(ns, done) {
      // Timers expire inside the hypervisor's loop; what a domain does then is deferred, as its events are.
      const timer = hv.timers.set(hv.clock.now + Math.max(0, ns), () => hv.defer(() => call(done)));
      return () => hv.timers.cancel(timer);
    },
    completion: (work, latencyNs, done) =>
      hv.completions.submit(work, latencyNs, (outcome) => call(() => done(outcome))),
  };
}
