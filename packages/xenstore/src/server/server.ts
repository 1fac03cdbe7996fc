import { DOMID_FIRST_RESERVED, XENSTORE_PAYLOAD_MAX, XS_ERROR, xsdErrors } from '@xenolith/xen-abi';
import { XenstoreError } from '../errors.js';
import { Children } from '../store/children.js';
import { ownerOf, type StoredPermission, type StoreNode } from '../store/node.js';
import { childPath } from '../store/path.js';
import { Store } from '../store/store.js';
import { HEADER_SIZE, type Message } from '../wire/message.js';
import { toBytes } from '../wire/text.js';
import { type Actor, serverActor } from './actor.js';
import { checkStore } from './check-store.js';
import { type ConnectionHost, ServerConnection, type ServerTransport } from './connection.js';
import { Domains } from './domains.js';
import { Events } from './events.js';
import { handlers } from './handlers.js';
import { NodeOperations } from './node-operations.js';
import { defaultQuotas, type Quotas } from './quotas.js';
import { Request, type ServerCore } from './request.js';
import { RequestInFlight } from './request-in-flight.js';
import type { ServerStatistics } from './statistics.js';
import type { ServerTimer } from './timer.js';
import { Transaction } from './transaction.js';
import { DirectView, type NodeView } from './view.js';
import { Watches } from './watches.js';
import { WriteRate } from './write-rate.js';

/** Sees each message that comes in, and each that is queued to go out. */
export type MessageListener = (
  domid: number,
  direction: 'in' | 'out',
  type: number,
  body: Uint8Array,
  ids: { requestId: number; transactionId: number },
) => void;

export interface XenstoreServerOptions {
  /**
   * Whether the host has a domain of this number. Permissions for domains that do not exist are kept but ignored, and
   * such a domain cannot own nodes. Default: all numbers of real domains exist.
   */
  domainExists?(domid: number): boolean;
  /**
   * A tool asks over the protocol to serve a domain whose ring is at `gfn` and whose port is `port`: connect it (with
   * a RingConnection) or throw XenstoreError. Without this, INTRODUCE of a new domain answers ENOSYS.
   */
  introduce?(domid: number, gfn: number, port: number): void;
  onMessage?: MessageListener | undefined;
  /** Lines for an operator: what `print` and `check` control commands say. */
  onLog?(line: string): void;
  quotas?: Partial<Quotas>;
  /** Gives the server time: then domains cannot write at any rate, and events that are not read for long are dropped. */
  timer?: ServerTimer | undefined;
  /** How long an unprivileged domain may leave an event unread, in milliseconds. Default 20,000. */
  eventTimeout?: number;
}

/**
 * xenstored: the store with its domains, watches and transactions, behaving as that of Xen 4.17
 * (docs/misc/xenstore.txt). It is synchronous: without a timer, the same requests in the same order give the same
 * bytes.
 */
export class XenstoreServer implements ConnectionHost {
  readonly quotas: Quotas;
  readonly watches = new Watches();
  private readonly core: ServerCore;
  private readonly direct: DirectView;
  private readonly events: Events;
  private readonly connections = new Set<ServerConnection>();
  private readonly requests: { connection: ServerConnection; message: Message }[] = [];
  private readonly withOutput = new Set<ServerConnection>();
  private readonly rate: WriteRate | undefined;
  /** What is being answered, if it is counted as outstanding. */
  private current: RequestInFlight | undefined;
  private nextSerial = 0;
  private busy = false;

  constructor(private readonly options: XenstoreServerOptions = {}) {
    const exists = options.domainExists?.bind(options) ?? ((domid) => domid < DOMID_FIRST_RESERVED);
    this.quotas = { ...defaultQuotas, ...options.quotas };
    const store = new Store();
    const domains = new Domains(exists, () => store.nextGeneration(), this.quotas);
    const { timer } = options;
    this.rate = timer && new WriteRate(timer, (domid) => this.resumeDomain(domid));
    const special = [{ domid: 0, access: 'n' }] as const;
    this.direct = new DirectView(store, domains, this.quotas);
    this.core = {
      store,
      domains,
      quotas: this.quotas,
      watches: this.watches,
      special: new Map([
        ['@introduceDomain', special],
        ['@releaseDomain', special],
      ]),
      startTransaction: (connection) =>
        connection.addTransaction(new Transaction(store, this.direct, domains, connection, this.quotas)),
      endTransaction: (connection, id, commit) => this.endTransaction(connection, id, commit),
      introduce: (domid, gfn, port) => this.introduce(domid, gfn, port),
      release: (domid) => this.forgetDomain(domid),
      check: () => {
        for (const problem of this.check()) options.onLog?.(problem);
      },
      print: (text) => options.onLog?.(text),
    };
    this.events = new Events(this.watches, this.direct, this.core.special);
    domains.add(0).nodes = 1;
    this.direct.write('/', { value: new Uint8Array(0), children: Children.none, permissions: special });
    this.operations(serverActor, this.direct).mkdir('/tool/xenstored');
  }

  /**
   * Connects a client. Domain 0 may have any number of connections and may do everything; another domain has one,
   * and connecting introduces it.
   * @param transport where output goes; a function gets all of it at once
   */
  connect(domid: number, transport: ServerTransport | ((bytes: Uint8Array) => void)): ServerConnection {
    const path = typeof transport === 'function' ? { outputReady: sendAll(transport) } : transport;
    const connection = new ServerConnection(this, domid, this.nextSerial++, path);
    this.connections.add(connection);
    if (domid !== 0) {
      const { domains } = this.core;
      const domain = domains.get(domid) ?? domains.add(domid);
      if (domain.connection) throw new RangeError(`Domain ${domid} is connected already.`);
      domain.connection = connection;
      domain.shutdown = false;
      this.rate?.introduce(domid);
      this.events.fireSpecial('@introduceDomain');
      this.flush();
    }
    return connection;
  }

  /** A domain has shut down or crashed: fires `@releaseDomain`, once. */
  domainShutdown(domid: number): void {
    const domain = this.core.domains.get(domid);
    if (!domain?.connection || domain.shutdown) return;
    domain.shutdown = true;
    this.events.fireSpecial('@releaseDomain');
    this.flush();
  }

  /** A domain is gone: its connection ends, its nodes are removed, `@releaseDomain` is fired. */
  domainDestroyed(domid: number): void {
    this.forgetDomain(domid);
    this.flush();
  }

  get statistics(): ServerStatistics {
    const sum = (count: (connection: ServerConnection) => number) =>
      [...this.connections].reduce((total, connection) => total + count(connection), 0);
    return {
      connections: this.connections.size,
      nodes: this.core.store.size,
      watches: sum((connection) => connection.watches.size),
      transactions: sum((connection) => connection.transactions.size),
    };
  }

  /** What contradicts itself in the store; nothing, if the server is right. For tests. */
  check(): string[] {
    return checkStore(this.core.store, this.core.domains);
  }

  get timer(): ServerTimer | undefined {
    return this.options.timer;
  }

  /** For connections: whether a domain's requests are taken at this time. */
  mayRequest(domid: number): boolean {
    return this.core.domains.fits(domid, 0) && !this.rate?.exhausted(domid);
  }

  /** For connections: whether a domain may have so many bytes more. */
  fits(domid: number, bytes: number): boolean {
    return this.core.domains.fits(domid, bytes);
  }

  /** For connections: when an event that is queued now is dropped. */
  eventDue(): number | undefined {
    return this.timer && this.timer.now() + (this.options.eventTimeout ?? 20_000);
  }

  /** For connections: one that had to wait may go on. */
  resume(connection: ServerConnection): void {
    if (!connection.open) return;
    this.withOutput.add(connection);
    this.flush();
  }

  /** For connections: answers a request, and then those that came in meanwhile. */
  submit(connection: ServerConnection, message: Message): void {
    this.requests.push({ connection, message });
    if (this.busy) return;
    for (let next = this.requests.shift(); next; next = this.requests.shift()) {
      if (!next.connection.open) continue;
      this.busy = true;
      try {
        this.answer(next.connection, next.message);
      } finally {
        this.busy = false;
      }
      this.flush();
    }
  }

  /** For connections: a message waits to be sent. */
  queued(connection: ServerConnection, message: Message): void {
    this.withOutput.add(connection);
    const { requestId, transactionId } = message;
    this.options.onMessage?.(connection.domid, 'out', message.type, message.body, {
      requestId,
      transactionId,
    });
  }

  /** For connections: one has ended. */
  closed(connection: ServerConnection): void {
    this.connections.delete(connection);
    this.withOutput.delete(connection);
    if (this.core.domains.get(connection.domid)?.connection !== connection) return;
    this.forgetDomain(connection.domid);
    this.flush();
  }

  private answer(connection: ServerConnection, message: Message): void {
    const { type, requestId, transactionId } = message;
    this.options.onMessage?.(connection.domid, 'in', type, message.body, { requestId, transactionId });
    let afterReply: (() => void) | undefined;
    const reply = (replyType: number, body: Uint8Array) =>
      connection.reply({ type: replyType, requestId, transactionId, body }, this.current);
    this.current = connection.privileged ? undefined : new RequestInFlight(connection);
    try {
      const handler = handlers.get(type);
      if (!handler) throw new XenstoreError('ENOSYS');
      if (handler.privileged && !connection.privileged) throw new XenstoreError('EACCES');
      const id = handler.outsideTransactions ? 0 : transactionId;
      const transaction = connection.transactions.get(id);
      if (id !== 0 && !transaction) throw new XenstoreError('ENOENT');
      const nodes = this.operations(connection, transaction ?? this.direct, transaction);
      const request = new Request(this.core, connection, nodes, id, transaction, message.body);
      const result = handler.run(request);
      const body = typeof result === 'string' ? toBytes(result) : result;
      if (body.length > XENSTORE_PAYLOAD_MAX) throw new XenstoreError('E2BIG');
      // Short replies are always possible, as errors are.
      const bytes = HEADER_SIZE + body.length;
      if (body.length > 16 && !this.fits(connection.domid, bytes)) throw new XenstoreError('ENOMEM');
      ({ afterReply } = request);
      reply(type, body);
    } catch (error) {
      if (!(error instanceof XenstoreError)) throw error;
      const known = (xsdErrors as readonly string[]).includes(error.code);
      reply(XS_ERROR, toBytes(`${known ? error.code : 'EINVAL'}\0`));
    } finally {
      this.current = undefined;
    }
    afterReply?.();
  }

  private endTransaction(connection: ServerConnection, id: number, commit: boolean): void {
    const transaction = connection.transactions.get(id)!;
    connection.transactions.delete(id);
    if (!commit) return;
    transaction.commit(({ path, exact, oldPermissions }) =>
      this.events.fire(path, undefined, exact, oldPermissions, this.current),
    );
    // Its own is no longer among them.
    if (!connection.privileged && this.statistics.transactions > 0) this.rate?.charge(connection.domid);
  }

  private introduce(domid: number, gfn: number, port: number): void {
    const connection = this.core.domains.get(domid)?.connection;
    if (connection) connection.reintroduce(port);
    else if (this.options.introduce) this.options.introduce(domid, gfn, port);
    else throw new XenstoreError('ENOSYS');
  }

  private resumeDomain(domid: number): void {
    const connection = this.core.domains.get(domid)?.connection;
    if (connection) this.resume(connection);
  }

  private forgetDomain(domid: number): void {
    const { domains, special } = this.core;
    const domain = domains.get(domid);
    if (!domain || domid === 0) return;
    const { connection } = domain;
    domain.connection = undefined;
    connection?.close();
    // The toolstack has removed them already, as a rule; looking for them is a walk over all nodes.
    if (domain.nodes > 0) this.removeNodesOf(domid, '/');
    for (const [name, [owner, ...others]] of special as Map<
      string,
      [StoredPermission, ...StoredPermission[]]
    >) {
      const heir = owner.domid === domid ? { ...owner, domid: 0 } : owner;
      special.set(name, [heir, ...others.filter((p) => p.domid !== domid)]);
    }
    domains.delete(domid);
    this.rate?.release(domid);
    if (connection) this.events.fireSpecial('@releaseDomain');
  }

  /** Removes what a domain owned, with all that others put below it. */
  private removeNodesOf(domid: number, path: string): void {
    const node = this.core.store.get(path);
    if (!node) return;
    if (path !== '/' && ownerOf(node) === domid) this.operations(serverActor, this.direct).removeTree(path);
    else for (const name of node.children) this.removeNodesOf(domid, childPath(path, name));
  }

  private operations(actor: Actor, view: NodeView, transaction?: Transaction): NodeOperations {
    const changed = (
      path: string,
      node: StoreNode | undefined,
      exact: boolean,
      oldPermissions?: readonly StoredPermission[],
    ) => {
      if (transaction) transaction.queueEvent(path, exact);
      else this.events.fire(path, node, exact, oldPermissions, this.current);
    };
    const { rate } = this;
    const limited = rate && !transaction && !actor.privileged;
    const written = limited
      ? () => {
          // A write costs something only where it could make a transaction fail.
          if (this.statistics.transactions > 0) rate.charge(actor.domid);
        }
      : undefined;
    return new NodeOperations(view, actor, this.core.domains, this.quotas, changed, written);
  }

  /** Lets transports send; what they cause is answered before this returns. */
  private flush(): void {
    if (this.busy) return;
    for (const connection of this.withOutput) {
      this.withOutput.delete(connection);
      connection.transport.outputReady(connection);
    }
  }
}

/** A transport without flow control. */
function sendAll(send: (bytes: Uint8Array) => void): (connection: ServerConnection) => void {
  return (connection) => {
    for (let bytes = connection.peekOutput(); bytes; bytes = connection.peekOutput()) {
      connection.consumeOutput(bytes.length);
      send(bytes);
    }
  };
}
