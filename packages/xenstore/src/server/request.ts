import { XenstoreError } from '../errors.js';
import type { StoredPermission } from '../store/node.js';
import { isValidPath } from '../store/path.js';
import type { Store } from '../store/store.js';
import { fromBytes, nulTerminated } from '../wire/text.js';
import type { ServerConnection } from './connection.js';
import type { Domains } from './domains.js';
import type { NodeOperations } from './node-operations.js';
import type { Quotas } from './quotas.js';
import type { Transaction } from './transaction.js';
import type { Watches } from './watches.js';

/** The parts of the server that requests work on. */
export interface ServerCore {
  readonly store: Store;
  readonly domains: Domains;
  readonly quotas: Quotas;
  readonly watches: Watches;
  /** Permissions of `@introduceDomain` and `@releaseDomain`. */
  readonly special: Map<string, readonly StoredPermission[]>;
  startTransaction(connection: ServerConnection): number;
  endTransaction(connection: ServerConnection, id: number, commit: boolean): void;
  introduce(domid: number, gfn: number, port: number): void;
  release(domid: number): void;
  check(): void;
  print(text: string): void;
}

/** One request as its handler sees it. */
export class Request {
  /** What to do once the reply is queued. */
  afterReply: (() => void) | undefined;
  /** The payload as text, one char code per byte. */
  readonly text: string;

  constructor(
    readonly core: ServerCore,
    readonly connection: ServerConnection,
    readonly nodes: NodeOperations,
    readonly transactionId: number,
    readonly transaction: Transaction | undefined,
    readonly body: Uint8Array,
  ) {
    this.text = fromBytes(body);
  }

  /** The payload's only string: there must be exactly one NUL, at the end. */
  only(): string {
    if (this.text.indexOf('\0') !== this.text.length - 1 || this.text === '')
      throw new XenstoreError('EINVAL');
    return this.text.slice(0, -1);
  }

  /** The strings of the payload, at least `count`. */
  strings(count: number): string[] {
    const strings = nulTerminated(this.text);
    if (strings.length < count) throw new XenstoreError('EINVAL');
    return strings;
  }

  /** An absolute path from what the client gave. */
  absolute(path: string): string {
    return path.startsWith('/') || path.startsWith('@') ? path : `${this.connection.base}/${path}`;
  }

  /** @throws XenstoreError EINVAL unless the absolute path is valid */
  checkPath(path: string): void {
    if (!isValidPath(path, this.core.quotas['path-max'])) throw new XenstoreError('EINVAL');
  }
}

/** Answers a request with the reply's payload. Strings have one char code per byte. */
export type Handler = (request: Request) => Uint8Array | string;

/** The reply of requests that have nothing to tell. */
export const OK = 'OK\0';
