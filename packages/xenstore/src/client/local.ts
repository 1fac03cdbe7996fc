import type { XenstoreServer } from '../server/server.js';
import type { Permission } from '../store/permissions.js';
import { connectInMemory } from '../transport/in-memory.js';
import type { Operation, Value } from './operations.js';
import * as operations from './operations.js';
import { Requester } from './requester.js';

const utf8 = new TextDecoder();

/**
 * A client of a server in the same process that answers at once, for toolstacks: the same protocol, no promises.
 * Failures throw XenstoreError. Watches call back after the request that caused them, never in the middle of one.
 */
export class LocalXenstore {
  private readonly requester: Requester;
  private readonly handlers = new Map<string, (path: string) => void>();
  private nextToken = 1;
  private transactionId = 0;

  /** @param domid in whose name; 0 may do everything */
  constructor(server: XenstoreServer, domid = 0) {
    const onEvent = (path: string, token: string) => this.handlers.get(token)?.(path);
    this.requester = new Requester(connectInMemory(server, domid), onEvent);
  }

  read(path: string): string {
    return utf8.decode(this.request(operations.read(path)));
  }

  /** The value, or undefined if there is no such node. */
  readIfExists(path: string): string | undefined {
    try {
      return this.read(path);
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  write(path: string, value: Value): void {
    this.request(operations.write(path, value));
  }

  /** Names of the children. E2BIG above 4096 bytes of them. */
  list(path: string): string[] {
    return this.request(operations.list(path));
  }

  mkdir(path: string): void {
    this.request(operations.mkdir(path));
  }

  rm(path: string): void {
    this.request(operations.rm(path));
  }

  getPermissions(path: string): Permission[] {
    return this.request(operations.getPermissions(path));
  }

  setPermissions(path: string, permissions: readonly Permission[]): void {
    this.request(operations.setPermissions(path, permissions));
  }

  /** Runs `body` in a transaction: others see all of it or nothing, and its events come once. An error abandons it. */
  transaction<T>(body: () => T): T {
    if (this.transactionId !== 0) throw new RangeError('Transactions do not nest.');
    this.transactionId = this.request(operations.startTransaction());
    try {
      const result = body();
      this.endTransaction(true);
      return result;
    } finally {
      if (this.transactionId !== 0) this.endTransaction(false);
    }
  }

  /** @param onChange is called with the changed path, the first time before this returns. @returns ends the watch */
  watch(path: string, onChange: (path: string) => void): () => void {
    const token = `w${this.nextToken++}`;
    this.handlers.set(token, onChange);
    try {
      this.request(operations.watch(path, token));
    } catch (error) {
      this.handlers.delete(token);
      throw error;
    }
    return () => {
      if (this.handlers.delete(token)) this.request(operations.unwatch(path, token));
    };
  }

  close(): void {
    this.requester.close();
  }

  private endTransaction(commit: boolean): void {
    const id = this.transactionId;
    this.transactionId = 0;
    this.request(operations.endTransaction(commit), id);
  }

  private request<T>(operation: Operation<T>, transactionId = this.transactionId): T {
    let outcome: { value: T } | { error: Error } | undefined;
    this.requester.request(
      operation,
      transactionId,
      (value) => {
        outcome = { value };
      },
      (error) => {
        outcome = { error };
      },
    );
    const settled = outcome as { value: T } | { error: Error } | undefined;
    if (!settled)
      throw new RangeError('A request from within a message listener cannot be answered at once.');
    if ('error' in settled) throw settled.error;
    return settled.value;
  }
}
