import type { TraceSink } from '@xenolith/host-interface';
import type { Hypervisor } from '@xenolith/hypervisor-core';
import { XenstoreRing } from '@xenolith/shared-ring';
import { GNTTAB_RESERVED_XENSTORE } from '@xenolith/xen-abi';
import {
  LocalXenstore,
  type MessageListener,
  messageName,
  printableBody,
  RingConnection,
  XenstoreError,
  XenstoreServer,
} from '@xenolith/xenstore';
import type { NativeGuest } from './native-guest.js';
import { writeHostEntries } from './xenstore-tree.js';

/** xenstored in native domain 0: serves domains over their rings, through grants and events as any domain 0 does. */
export class XenstoreService {
  readonly server: XenstoreServer;
  /** The toolstack's own connection. */
  readonly local: LocalXenstore;

  constructor(
    hv: Hypervisor,
    private readonly dom0: NativeGuest,
  ) {
    this.server = new XenstoreServer({
      domainExists: (domid) => (hv.byId(domid) ?? hv.natives.get(domid))?.dying === false,
      // The page has a grant of its own: the gfn is not needed.
      introduce: (domid, _gfn, port) => this.introduce(domid, port),
      onMessage: messageTracer(hv.trace),
      onLog: (line) => hv.log.log('info', 'xenstore', line),
      timer: {
        now: () => hv.clock.now / 1e6,
        after(ms, run) {
          const timer = hv.timers.set(hv.clock.now + Math.ceil(ms * 1e6), run);
          return () => hv.timers.cancel(timer);
        },
      },
    });
    this.local = new LocalXenstore(this.server);
    writeHostEntries(this.local);
  }

  /** Introduces a domain whose xenstore port is `remotePort`. @throws XenstoreError if page or port cannot be had */
  introduce(domid: number, remotePort: number): void {
    const { eventChannels, grants } = this.dom0;
    const page = grants.map(domid, GNTTAB_RESERVED_XENSTORE);
    if (typeof page === 'number') throw new XenstoreError('EINVAL');
    let port = eventChannels.bindInterdomain(domid, remotePort);
    if (port < 0) {
      grants.unmap(page);
      throw new XenstoreError('EINVAL');
    }
    const connection = new RingConnection({
      server: this.server,
      domid,
      page: new XenstoreRing(page),
      notify: () => eventChannels.send(port),
      rebind(remote) {
        eventChannels.close(port);
        // One that cannot be bound is left without events, as by xenstored.
        port = eventChannels.bindInterdomain(domid, remote);
        eventChannels.onEvent(port, () => connection.onEvent());
      },
      live: () => page.live,
      closed() {
        eventChannels.close(port);
        grants.unmap(page);
      },
    });
    eventChannels.onEvent(port, () => connection.onEvent());
  }

  /** The domain has shut down, but is still there. */
  shutDown(domid: number): void {
    this.server.domainShutdown(domid);
  }

  /** The domain is about to go. */
  release(domid: number): void {
    this.server.domainDestroyed(domid);
  }
}

function messageTracer(trace: TraceSink): MessageListener {
  return (domid, direction, type, body, { requestId, transactionId }) => {
    // What the toolstack itself writes is not what anybody traces a guest for.
    if (domid === 0 || !trace.wants('xenstore')) return;
    trace.emit({
      class: 'xenstore',
      domid,
      vcpu: 0,
      name: `${direction === 'in' ? '>' : '<'} ${messageName(type)}`,
      args: { request: requestId, transaction: transactionId, body: printableBody(body) },
    });
  };
}
