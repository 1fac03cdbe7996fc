import type {
  Clock,
  EventChannels,
  GrantCopyEnd,
  GrantMapping,
  Grants,
  Guest,
  Memory,
  OwnPage,
} from '@xenolith/guest-api';
import {
  EINVAL,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_okay,
  GNTST_permission_denied,
} from '@xenolith/xen-abi';
import { connectInMemory, LocalXenstore, XenstoreClient, XenstoreServer } from '@xenolith/xenstore';
import { FabricMapping, FabricPage } from './page.js';

interface Port {
  peer?: { guest: FabricGuest; port: number };
  /** unbound: who may bind. */
  remote: number;
  handler?: (() => void) | undefined;
  pending: boolean;
}

interface GrantEntry {
  to: number;
  page: FabricPage;
  readonly: boolean;
  uses: number;
}

/**
 * Guests without a hypervisor: event channels, grants, memory and xenstore of one process, for tests of frontends and
 * backends. Events are delivered in microtasks, merged as real ones are; time stands still but for `advance`.
 */
export class Fabric {
  readonly server = new XenstoreServer({ domainExists: (domid) => domid === 0 || this.guests.has(domid) });
  /** The toolstack's xenstore, with answers at once and with promises. */
  readonly store = new LocalXenstore(this.server);
  readonly toolstack = new XenstoreClient(connectInMemory(this.server));
  /** @internal */
  readonly guests = new Map<number, FabricGuest>();
  private time = 0;
  private timers: { at: number; done: () => void }[] = [];

  /** Makes a guest, with a home directory that it owns, as a toolstack would. */
  addGuest(domid: number): FabricGuest {
    const guest = new FabricGuest(this, domid);
    this.guests.set(domid, guest);
    const home = `/local/domain/${domid}`;
    this.store.write(home, '');
    this.store.setPermissions(home, [{ domid, access: 'b' }]);
    return guest;
  }

  /** The guest dies: its grants are revoked, its ports close. */
  removeGuest(domid: number): void {
    const guest = this.guests.get(domid);
    guest?.crash();
    guest?.xenstore.close();
    this.guests.delete(domid);
  }

  get now(): number {
    return this.time;
  }

  /** Lets `ns` nanoseconds of system time pass, and everybody do what is then to be done. */
  async advance(ns: number): Promise<void> {
    const end = this.time + ns;
    for (;;) {
      await settle();
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.done();
    }
    this.time = end;
    await settle();
  }

  /** @internal */
  after(ns: number, done: () => void): () => void {
    const timer = { at: this.time + Math.max(0, ns), done };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }
}

/** Resolves when all promises that can go on have gone on. */
export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** One guest of a `Fabric`. */
export class FabricGuest implements Guest {
  readonly xenstore: XenstoreClient;
  readonly memory: Memory;
  readonly grants: Grants;
  readonly eventChannels: EventChannels;
  readonly clock: Clock;
  private readonly ports = new Map<number, Port>();
  private readonly entries = new Map<number, GrantEntry>();
  private readonly pages = new Map<number, FabricPage>();
  private readonly mappings = new Set<FabricMapping>();
  private nextPort = 1;
  private nextRef = 8;
  private nextGfn = 1;

  constructor(
    private readonly fabric: Fabric,
    readonly domid: number,
  ) {
    this.xenstore = new XenstoreClient(connectInMemory(fabric.server, domid));
    this.memory = {
      allocate: () => {
        const page = new FabricPage(this.nextGfn++);
        this.pages.set(page.gfn, page);
        return page;
      },
      free: (page) => void this.pages.delete(page.gfn),
    };
    this.grants = {
      map: (granter, ref, options) => this.map(granter, ref, options?.readonly ?? false),
      unmap: (mapping) => this.unmap(mapping),
      copy: ({ source, destination, length }) => this.copy(source, destination, length),
      grantAccess: (to, page, options) => this.grantAccess(to, page, options?.readonly ?? false),
      endAccess: (ref) => this.endAccess(ref),
    };
    this.eventChannels = {
      allocUnbound: (remote) => this.newPort({ remote, pending: false }),
      bindInterdomain: (remote, port) => this.bind(remote, port),
      send: (port) => this.send(port),
      close: (port) => this.close(port),
      onEvent: (number, handler) => {
        const port = this.ports.get(number);
        if (port) port.handler = handler;
      },
    };
    this.clock = {
      now: () => fabric.now,
      after: (ns, done) => fabric.after(ns, done),
      completion(work, latencyNs, done) {
        const settled = Promise.allSettled([work]);
        fabric.after(latencyNs, () => void settled.then(([outcome]) => done(outcome)));
      },
    };
  }

  /** How many grants of this guest others use now. */
  get grantsInUse(): number {
    return [...this.entries.values()].reduce((sum, entry) => sum + entry.uses, 0);
  }

  get openPorts(): number {
    return this.ports.size;
  }

  /** Pages that the guest has not given back. */
  get pagesInUse(): number {
    return this.pages.size;
  }

  /** Another kernel starts in the domain, without a word of the one before it: its grants and ports are gone. */
  crash(): void {
    for (const entry of this.entries.values()) entry.page.revoked = true;
    this.entries.clear();
    for (const mapping of [...this.mappings]) this.unmap(mapping);
    for (const port of [...this.ports.keys()]) this.close(port);
  }

  private grantAccess(to: number, page: OwnPage, readonly: boolean): number {
    if (!(page instanceof FabricPage)) throw new RangeError('A page of another memory.');
    const ref = this.nextRef++;
    this.entries.set(ref, { to, page, readonly, uses: 0 });
    return ref;
  }

  private endAccess(ref: number): boolean {
    if (this.entries.get(ref)?.uses) return false;
    this.entries.delete(ref);
    return true;
  }

  /** What this guest may do with another's grant, or a GNTST. */
  private entry(granter: number, ref: number, write: boolean): GrantEntry | number {
    const entry = this.fabric.guests.get(granter)?.entries.get(ref);
    if (!entry) return GNTST_bad_gntref;
    return entry.to !== this.domid || (write && entry.readonly) ? GNTST_permission_denied : entry;
  }

  private map(granter: number, ref: number, readonly: boolean): GrantMapping | number {
    const entry = this.entry(granter, ref, !readonly);
    if (typeof entry === 'number') return entry;
    entry.uses++;
    const mapping = new FabricMapping(entry.page, readonly, () => entry.uses--);
    this.mappings.add(mapping);
    return mapping;
  }

  private unmap(mapping: GrantMapping): void {
    if (mapping instanceof FabricMapping && this.mappings.delete(mapping)) mapping.end();
  }

  private copy(source: GrantCopyEnd, destination: GrantCopyEnd, length: number): number {
    const page = (end: GrantCopyEnd, write: boolean): FabricPage | number => {
      if ('gfn' in end) return this.pages.get(end.gfn) ?? GNTST_bad_page;
      const entry = this.entry(end.domid, end.ref, write);
      return typeof entry === 'number' ? entry : entry.page;
    };
    const from = page(source, false);
    const to = page(destination, true);
    if (typeof from === 'number') return from;
    if (typeof to === 'number') return to;
    to.write(destination.offset, from.read(source.offset, length));
    return GNTST_okay;
  }

  private newPort(port: Port): number {
    this.ports.set(this.nextPort, port);
    return this.nextPort++;
  }

  private bind(remote: number, number: number): number {
    const guest = this.fabric.guests.get(remote);
    const port = guest?.ports.get(number);
    if (!guest || !port || port.peer || port.remote !== this.domid) return -EINVAL;
    const own = this.newPort({ remote, pending: false, peer: { guest, port: number } });
    port.peer = { guest: this, port: own };
    this.deliver(own);
    return own;
  }

  private send(number: number): number {
    const port = this.ports.get(number);
    if (!port) return -EINVAL;
    port.peer?.guest.deliver(port.peer.port);
    return 0;
  }

  private deliver(number: number): void {
    const port = this.ports.get(number);
    if (!port || port.pending) return;
    port.pending = true;
    queueMicrotask(() => {
      port.pending = false;
      if (this.ports.get(number) === port) port.handler?.();
    });
  }

  private close(number: number): number {
    const port = this.ports.get(number);
    if (!port) return -EINVAL;
    this.ports.delete(number);
    const peer = port.peer?.guest.ports.get(port.peer.port);
    if (peer) {
      peer.remote = this.domid;
      delete peer.peer;
    }
    return 0;
  }
}
