import type { CopyPointer } from '@xenolith/grant-tables';
import { NativeMapping } from '@xenolith/grant-tables';
import type { EventChannels, GrantCopyEnd, GrantMapping, Grants } from '@xenolith/guest-api';
import { createNativeDomain, type Hypervisor } from '@xenolith/hypervisor-core';
import { DOMID_SELF, GNTCOPY_dest_gref, GNTCOPY_source_gref } from '@xenolith/xen-abi';

/** A native domain's event channels and grants, as guests written in TypeScript use them (`guest-api`). */
export interface NativeGuest {
  readonly domid: number;
  readonly eventChannels: EventChannels;
  readonly grants: Grants;
}

/** Makes a native domain on the host. Handlers of events run between guest instructions, never inside a hypercall. */
export function createNativeGuest(
  hv: Hypervisor,
  options: { domid: number; privileged?: boolean },
): NativeGuest {
  const { domid } = options;
  const handlers = new Map<number, () => void>();
  // Events that come before their handler ran are one event.
  const waiting = new Set<number>();
  createNativeDomain(hv, {
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

  const end = (side: GrantCopyEnd): CopyPointer =>
    'ref' in side
      ? { domid: side.domid, frame: side.ref, offset: side.offset }
      : { domid: DOMID_SELF, frame: side.gfn, offset: side.offset };
  const grants: Grants = {
    map: (granter, ref, { readonly = false } = {}) => hv.grants.mapForNative(domid, granter, ref, readonly),
    unmap(mapping: GrantMapping) {
      if (mapping instanceof NativeMapping) hv.grants.unmapForNative(domid, mapping);
    },
    copy: ({ source, destination, length }) =>
      hv.grants.copy(domid, {
        source: end(source),
        dest: end(destination),
        length,
        flags: ('ref' in source ? GNTCOPY_source_gref : 0) | ('ref' in destination ? GNTCOPY_dest_gref : 0),
      }),
  };
  return { domid, eventChannels, grants };
}
