/** `n` none, `r` read, `w` write, `b` both. */
export type XenstoreAccess = 'n' | 'r' | 'w' | 'b';

/** Who may do what with a node. The first entry names the owner, and what all who are not listed may do. */
export interface XenstorePermission {
  domid: number;
  access: XenstoreAccess;
}

/** Reads and writes of the store. Failures reject with an error whose `code` is the name (`'ENOENT'`). */
export interface XenstoreOperations {
  read(path: string): Promise<string>;
  /** Names of the children. */
  list(path: string): Promise<string[]>;
  write(path: string, value: string): Promise<void>;
  mkdir(path: string): Promise<void>;
  rm(path: string): Promise<void>;
  getPermissions(path: string): Promise<XenstorePermission[]>;
  setPermissions(path: string, permissions: readonly XenstorePermission[]): Promise<void>;
}

/** A watch: the changed paths, in order; the first comes at once. Leaving the loop ends it. */
export interface XenstoreWatch extends AsyncIterable<string> {
  close(): Promise<void>;
}

/** The store as a guest uses it. Paths without a leading `/` are relative to the guest's own directory. */
export interface Xenstore extends XenstoreOperations {
  watch(path: string): XenstoreWatch;
  /** Runs `body` until its changes go in without a conflict; an error of `body` abandons them. */
  transaction<T>(body: (transaction: XenstoreOperations) => Promise<T>): Promise<T>;
}
