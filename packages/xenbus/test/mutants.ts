import type { Guest, XenstoreOperations } from '@xenolith/guest-api';

/** Changes of what a guest's drivers do with xenstore: every write and read goes through these. */
export interface StoreChanges {
  /** @returns the value to write; undefined: it is not written */
  write?(path: string, value: string): string | undefined;
  /** @param value undefined: there is none @returns the value that is seen */
  read?(path: string, value: string | undefined): string | undefined;
}

/** The guest, with another xenstore: what drivers that are wrong would do, seen from outside. */
export function withStore(guest: Guest, { write, read }: StoreChanges): Guest {
  const wrap = (store: XenstoreOperations): XenstoreOperations => ({
    async read(path) {
      if (!read) return store.read(path);
      let problem: unknown;
      const value = await store.read(path).catch((error: unknown) => {
        problem = error;
        return undefined;
      });
      const seen = read(path, value);
      if (seen === undefined) throw problem ?? Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
      return seen;
    },
    async write(path, value) {
      const written = write ? write(path, value) : value;
      if (written !== undefined) await store.write(path, written);
    },
    list: (path) => store.list(path),
    mkdir: (path) => store.mkdir(path),
    rm: (path) => store.rm(path),
    getPermissions: (path) => store.getPermissions(path),
    setPermissions: (path, permissions) => store.setPermissions(path, permissions),
  });
  const { xenstore } = guest;
  return {
    ...guest,
    domid: guest.domid,
    xenstore: {
      ...wrap(xenstore),
      watch: (path) => xenstore.watch(path),
      transaction: (body) => xenstore.transaction((transaction) => body(wrap(transaction))),
    },
  };
}

/** Drivers that never write that state. */
export const neverWrites = (guest: Guest, state: number): Guest =>
  withStore(guest, {
    write: (path, value) => (path.endsWith('/state') && value === String(state) ? undefined : value),
  });

/** Drivers that do not free, unmap or close what `without` names. */
export function leaking(guest: Guest, without: 'unmap' | 'close' | 'free'): Guest {
  const { grants, eventChannels, memory } = guest;
  return {
    ...guest,
    domid: guest.domid,
    ...(without === 'unmap' && { grants: { ...grants, unmap() {} } }),
    ...(without === 'close' && { eventChannels: { ...eventChannels, close: () => 0 } }),
    ...(without === 'free' && { memory: { ...memory, free() {} } }),
  };
}

/** Drivers that see only some of the changes of their devices: `sees` is asked with their number, from 0. */
export function sleepy(guest: Guest, sees: (n: number) => boolean): Guest {
  const { xenstore } = guest;
  const watch: typeof xenstore.watch = (path) => {
    const inner = xenstore.watch(path);
    if (!/\/(device|backend)\/\w+$/.test(path)) return inner;
    let n = 0;
    return {
      close: () => inner.close(),
      async *[Symbol.asyncIterator]() {
        for await (const change of inner) if (sees(n++)) yield change;
      },
    };
  };
  const others = withStore(guest, {});
  return { ...others, xenstore: { ...others.xenstore, watch } };
}

/** Whether that is the state of a device's frontend (`device`) or backend. */
export const isStateOf = (directory: 'device' | 'backend', path: string): boolean =>
  path.endsWith('/state') && path.includes(`/${directory}/`);

/** Drivers that write no error node. */
export const silent = (guest: Guest): Guest =>
  withStore(guest, { write: (path, value) => (path.startsWith('error/') ? undefined : value) });

/** Drivers that never see a frontend at its beginning. */
export const blindForBeginnings = (guest: Guest): Guest =>
  withStore(guest, {
    read: (path, value) => (isStateOf('device', path) && value === '1' ? '4' : value),
  });
