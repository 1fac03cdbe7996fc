import { backendPath, type DeviceSpec, deviceDirectories, parseState, XenbusState } from '@xenolith/xenbus';
import type { LocalXenstore } from '@xenolith/xenstore';
import type { EventLoop } from '../event-loop.js';

/** Writes a device's directories, as `addDevice` of `@xenolith/xenbus` does, at once. */
export function writeDevice(store: LocalXenstore, spec: DeviceSpec): void {
  store.transaction(() => {
    for (const { path, permissions, values } of deviceDirectories(spec)) {
      store.write(path, '');
      store.setPermissions(path, permissions);
      for (const [name, value] of Object.entries(values)) store.write(`${path}/${name}`, String(value));
    }
  });
}

/** Removes them, whatever state the device is in. */
export function eraseDevice(store: LocalXenstore, spec: DeviceSpec): void {
  store.transaction(() => {
    for (const { path } of deviceDirectories(spec))
      if (store.readIfExists(path) !== undefined) store.rm(path);
  });
}

/** Asks both ends to let go: the backend is offline and closing (libxl__initiate_device_generic_remove). */
export function requestRemoval(store: LocalXenstore, spec: DeviceSpec): void {
  const back = backendPath(spec);
  store.transaction(() => {
    if (store.readIfExists(`${back}/state`) === undefined) return;
    store.write(`${back}/online`, '0');
    if (!isClosed(store, spec)) store.write(`${back}/state`, String(XenbusState.closing));
  });
}

/** Whether the backend has closed, or is gone. */
export function isClosed(store: LocalXenstore, spec: DeviceSpec): boolean {
  const state = store.readIfExists(`${backendPath(spec)}/state`);
  return state === undefined || parseState(state) === XenbusState.closed;
}

/** Resolves when the device is closed; with false when `timeoutMs` are over before. */
export function whenClosed(
  store: LocalXenstore,
  spec: DeviceSpec,
  eventLoop: EventLoop,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (closed: boolean) => {
      cancelTimeout();
      stopWatching();
      resolve(closed);
    };
    const cancelTimeout = eventLoop.after(timeoutMs, () => end(false));
    // The first event comes before `watch` returns, hence not in this turn.
    const stopWatching = store.watch(`${backendPath(spec)}/state`, () => {
      if (isClosed(store, spec)) queueMicrotask(() => end(true));
    });
  });
}
