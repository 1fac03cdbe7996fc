import { XenstoreError, XenstoreProtocolError } from '../errors.js';
import type { Permission } from '../store/permissions.js';
import type { ClientTransport } from '../transport/client-transport.js';
import { nulTerminated } from '../wire/text.js';
import type { Operation, Value } from './operations.js';
import * as operations from './operations.js';
import { Requester } from './requester.js';
import { ClientWatch } from './watch.js';

const utf8 = new TextDecoder();

/**
 * Reads and writes of the store, each a promise. Paths without a leading `/` are relative to the client's own
 * directory. Failures reject with XenstoreError, whose `code` is the name that the server gave (`'ENOENT'`); a lost
 * connection rejects with XenstoreProtocolError.
 */
export class XenstoreAccess {
  constructor(
    protected readonly requester: Requester,
    private readonly transactionId: number,
  ) {}

  /** The value as text (UTF-8). */
  async read(path: string): Promise<string> {
    return utf8.decode(await this.readBytes(path));
  }

  async readBytes(path: string): Promise<Uint8Array> {
    return this.request(operations.read(path));
  }

  /** The value, or undefined if there is no such node. */
  async readIfExists(path: string): Promise<string | undefined> {
    try {
      return await this.read(path);
    } catch (error) {
      if (error instanceof XenstoreError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async write(path: string, value: Value): Promise<void> {
    return this.request(operations.write(path, value));
  }

  /** Names of the children, however many there are. */
  async list(path: string): Promise<string[]> {
    try {
      return await this.request(operations.list(path));
    } catch (error) {
      if (!(error instanceof XenstoreError) || error.code !== 'E2BIG') throw error;
      return this.listInParts(path);
    }
  }

  async mkdir(path: string): Promise<void> {
    return this.request(operations.mkdir(path));
  }

  async rm(path: string): Promise<void> {
    return this.request(operations.rm(path));
  }

  async getPermissions(path: string): Promise<Permission[]> {
    return this.request(operations.getPermissions(path));
  }

  async setPermissions(path: string, permissions: readonly Permission[]): Promise<void> {
    return this.request(operations.setPermissions(path, permissions));
  }

  protected request<T>(operation: Operation<T>, transactionId = this.transactionId): Promise<T> {
    return new Promise((resolve, reject) =>
      this.requester.request(operation, transactionId, resolve, reject),
    );
  }

  /** Begins again when the node changed between two parts. */
  private async listInParts(path: string): Promise<string[]> {
    let list = '';
    let seen: string | undefined;
    for (;;) {
      const { generation, part } = await this.request(operations.listPart(path, list.length));
      if (seen !== undefined && seen !== generation) {
        list = '';
        seen = undefined;
        continue;
      }
      seen = generation;
      list += part;
      if (list === '\0' || list === '') return [];
      // Names are not empty: an empty one is the end.
      if (list.endsWith('\0\0')) return nulTerminated(list.slice(0, -1));
    }
  }
}

export interface TransactionOptions {
  /** How often to try before a conflict is reported. Default 64. */
  attempts?: number;
}

/** A client of a xenstore server, over any transport. */
export class XenstoreClient extends XenstoreAccess {
  private readonly watches: Map<string, ClientWatch>;
  private nextToken = 1;

  constructor(transport: ClientTransport) {
    const watches = new Map<string, ClientWatch>();
    const requester = new Requester(
      transport,
      (path, token) => watches.get(token)?.push(path),
      (reason) => {
        for (const watch of watches.values()) watch.fail(reason);
      },
    );
    super(requester, 0);
    this.watches = watches;
  }

  /**
   * Watches a node and all below it, or `@introduceDomain` or `@releaseDomain`. The iteration gives the paths of
   * changes, the first at once; leaving the loop ends the watch.
   */
  watch(path: string): ClientWatch {
    const token = `w${this.nextToken++}`;
    const watch: ClientWatch = new ClientWatch(async () => {
      this.watches.delete(token);
      await this.request(operations.unwatch(path, token));
    });
    this.watches.set(token, watch);
    this.request(operations.watch(path, token)).catch((error: Error) => {
      this.watches.delete(token);
      watch.fail(error);
    });
    return watch;
  }

  /**
   * Waits until a node is as it should be, and gives its value then; undefined is the value of one that does not exist.
   * @throws what `signal` gives as its reason, if it is aborted first
   */
  async wait(
    path: string,
    condition: (value: string | undefined) => boolean,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<string | undefined> {
    signal?.throwIfAborted();
    const watch = this.watch(path);
    const stop = () => watch.fail(signal!.reason);
    signal?.addEventListener('abort', stop);
    try {
      // The first event comes at once; those of nodes below cost a look.
      for await (const _ of watch) {
        const value = await this.readIfExists(path);
        if (condition(value)) return value;
      }
      throw new XenstoreProtocolError('The connection is closed.');
    } finally {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) await watch.unwatch();
    }
  }

  /**
   * Runs `body` in a transaction until it goes in without a conflict, so `body` may run more than once. An error of
   * `body` abandons the transaction and is passed on.
   * @throws XenstoreError EAGAIN when all attempts met a conflict
   */
  async transaction<T>(
    body: (transaction: XenstoreAccess) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    for (let left = options.attempts ?? 64; ; left--) {
      const id = await this.request(operations.startTransaction());
      let result: T;
      try {
        result = await body(new XenstoreAccess(this.requester, id));
      } catch (error) {
        // The transaction may be gone with the connection: the first error is the one to tell.
        await this.request(operations.endTransaction(false), id).catch(() => {});
        throw error;
      }
      try {
        await this.request(operations.endTransaction(true), id);
        return result;
      } catch (error) {
        if (!(error instanceof XenstoreError) || error.code !== 'EAGAIN' || left <= 1) throw error;
      }
    }
  }

  /** Drops all watches and transactions of this client at the server, as a kernel does when it takes over from another. */
  async resetWatches(): Promise<void> {
    return this.request(operations.resetWatches());
  }

  async getDomainPath(domid: number): Promise<string> {
    return this.request(operations.getDomainPath(domid));
  }

  /** Domain 0 only, like all below. */
  async isDomainIntroduced(domid: number): Promise<boolean> {
    return this.request(operations.isDomainIntroduced(domid));
  }

  async introduce(domid: number, gfn: number, port: number): Promise<void> {
    return this.request(operations.introduce(domid, gfn, port));
  }

  async release(domid: number): Promise<void> {
    return this.request(operations.release(domid));
  }

  async setTarget(domid: number, target: number): Promise<void> {
    return this.request(operations.setTarget(domid, target));
  }

  /** A control command, such as `quota` or `help`; what there is depends on the server. */
  async control(command: string, ...args: string[]): Promise<string> {
    return this.request(operations.control(command, args));
  }

  close(): void {
    this.requester.close();
  }
}
