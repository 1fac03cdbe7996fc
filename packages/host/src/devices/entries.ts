import {
  backendPath,
  type DeviceSpec,
  deviceNodes,
  frontendPath,
  libxlPath,
  parseState,
  XenbusState,
} from '@xenolith/xenbus';
import type { LocalXenstore } from '@xenolith/xenstore';
import type { EventLoop } from '../event-loop.js';

/** Writes a device's directories, as `addDevice` of `@xenolith/xenbus` does, at once. */
export function writeDevice(store: LocalXenstore, spec: DeviceSpec): void {
  store.transaction(() => {
    for (const path of [libxlPath(spec), frontendPath(spec), backendPath(spec)]) removeTidily(store, path);
    for (const { path, value, permissions } of deviceNodes(spec)) {
      store.write(path, value);
      if (permissions) store.setPermissions(path, permissions);
    }
  });
}

/** Removes them, whatever state the device is in. */
export function eraseDevice(store: LocalXenstore, spec: DeviceSpec): void {
  store.transaction(() => {
    for (const path of [libxlPath(spec), frontendPath(spec), backendPath(spec)]) removeTidily(store, path);
  });
}

/** Asks both ends to let go: the backend is offline and closing (libxl__initiate_device_generic_remove). */
export function requestRemoval(store: LocalXenstore, spec: DeviceSpec): void {
  store.transaction(() => setOffline(store, spec));
}

/** The frontend is dead, or treated as if it were: takes its end away, and asks the backend to let go. */
export function forceRemoval(store: LocalXenstore, spec: DeviceSpec): void {
  store.transaction(() => {
    for (const path of [libxlPath(spec), frontendPath(spec)]) removeTidily(store, path);
    setOffline(store, spec);
  });
}

/** Removes what a backend has left behind. */
export function eraseBackend(store: LocalXenstore, spec: DeviceSpec): void {
  store.transaction(() => removeTidily(store, backendPath(spec)));
}

/** Whether the backend has closed, or is gone. */
export function isClosed(store: LocalXenstore, spec: DeviceSpec): boolean {
  const state = store.readIfExists(`${backendPath(spec)}/state`);
  return state === undefined || parseState(state) === XenbusState.closed;
}

/** Whether the backend's directory is gone: a driver domain clears it away itself, or is gone, too. */
export const isGone = (store: LocalXenstore, spec: DeviceSpec): boolean =>
  store.readIfExists(backendPath(spec)) === undefined;

/** Resolves when the backend's state is as wanted; with false when `timeoutMs` are over before. */
export function whenBackend(
  isAsWanted: (store: LocalXenstore, spec: DeviceSpec) => boolean,
  store: LocalXenstore,
  spec: DeviceSpec,
  eventLoop: EventLoop,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (inTime: boolean) => {
      cancelTimeout();
      stopWatching();
      resolve(inTime);
    };
    const cancelTimeout = eventLoop.after(timeoutMs, () => end(false));
    // The first event comes before `watch` returns, hence not in this turn.
    const stopWatching = store.watch(backendPath(spec), () => {
      if (isAsWanted(store, spec)) queueMicrotask(() => end(true));
    });
  });
}

function setOffline(store: LocalXenstore, spec: DeviceSpec): void {
  const back = backendPath(spec);
  if (store.readIfExists(`${back}/state`) === undefined) return;
  store.write(`${back}/online`, '0');
  if (!isClosed(store, spec)) store.write(`${back}/state`, String(XenbusState.closing));
}

/** Removes a node if it is there, and those above that are empty then (libxl__xs_path_cleanup). */
function removeTidily(store: LocalXenstore, path: string): void {
  if (store.readIfExists(path) !== undefined) store.rm(path);
  for (let at = parent(path); at !== ''; at = parent(at)) {
    if (store.readIfExists(at) !== '' || store.list(at).length > 0) return;
    store.rm(at);
  }
}

const parent = (path: string): string => path.slice(0, path.lastIndexOf('/'));
