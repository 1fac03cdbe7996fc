import type { Xenstore, XenstoreOperations, XenstorePermission } from '@xenolith/guest-api';
import { Directory } from './directory.js';
import { parseState, XenbusState } from './state.js';

/** A device as a toolstack makes it. */
export interface DeviceSpec {
  /** Class of device: `vbd`, `vif`. */
  readonly type: string;
  /** Number of the device, as its directories are named. */
  readonly id: number;
  readonly frontendId: number;
  /** Default 0. */
  readonly backendId?: number;
  /** What the toolstack writes for the backend beside the links: `params`, `mode`, `mac`. */
  readonly backend?: Readonly<Record<string, string | number>>;
  /** The same for the frontend. */
  readonly frontend?: Readonly<Record<string, string | number>>;
}

export const frontendPath = ({ type, id, frontendId }: DeviceSpec): string =>
  `/local/domain/${frontendId}/device/${type}/${id}`;

export const backendPath = ({ type, id, frontendId, backendId = 0 }: DeviceSpec): string =>
  `/local/domain/${backendId}/backend/${type}/${frontendId}/${id}`;

/** libxl's own record of the device. */
const libxlPath = ({ type, id, frontendId }: DeviceSpec): string =>
  `/libxl/${frontendId}/device/${type}/${id}`;

/** A directory as a toolstack writes it. */
export interface DeviceDirectory {
  readonly path: string;
  readonly permissions: XenstorePermission[];
  readonly values: Readonly<Record<string, string | number>>;
}

/**
 * What libxl writes for a device (libxl__device_generic_add): its own record, and both ends' directories with their links,
 * owners and first states. To be written in one transaction.
 */
export function deviceDirectories(spec: DeviceSpec): DeviceDirectory[] {
  const { frontendId, backendId = 0 } = spec;
  const front = frontendPath(spec);
  const back = backendPath(spec);
  const backend = {
    frontend: front,
    'frontend-id': frontendId,
    online: 1,
    state: XenbusState.initialising,
    ...spec.backend,
  };
  const readable = (owner: number, reader: number): XenstorePermission[] => [
    { domid: owner, access: 'n' },
    { domid: reader, access: 'r' },
  ];
  return [
    {
      path: libxlPath(spec),
      permissions: [{ domid: 0, access: 'n' }],
      values: { backend: back, ...backend },
    },
    {
      path: front,
      permissions: readable(frontendId, backendId),
      values: {
        backend: back,
        'backend-id': backendId,
        state: XenbusState.initialising,
        ...spec.frontend,
      },
    },
    { path: back, permissions: readable(backendId, frontendId), values: backend },
  ];
}

/** Makes a device as libxl does: both ends see it at once and begin the handshake. */
export async function addDevice(store: Xenstore, spec: DeviceSpec): Promise<void> {
  await store.transaction(async (transaction) => {
    for (const { path, permissions, values } of deviceDirectories(spec)) {
      await transaction.write(path, '');
      await transaction.setPermissions(path, permissions);
      await new Directory(transaction, path).write(values);
    }
  });
}

/**
 * Asks both ends to let go of a device, as libxl does before it removes one: the backend is offline and closing.
 * `deviceClosed` tells when they have.
 */
export async function requestRemoval(store: Xenstore, spec: DeviceSpec): Promise<void> {
  await store.transaction(async (transaction) => {
    const back = new Directory(transaction, backendPath(spec));
    if ((await back.find('state')) === undefined) return;
    await back.write({ online: 0 });
    if (parseState(await back.find('state')) !== XenbusState.closed)
      await back.write({ state: XenbusState.closing });
  });
}

/** Resolves when the backend has closed, or its directory is gone. */
export async function deviceClosed(store: Xenstore, spec: DeviceSpec): Promise<void> {
  const back = new Directory(store, backendPath(spec));
  for await (const _ of store.watch(`${backendPath(spec)}/state`)) {
    const state = await back.find('state');
    if (state === undefined || parseState(state) === XenbusState.closed) return;
  }
}

/** Removes all that `addDevice` made, whatever state it is in. */
export async function removeDevice(store: Xenstore, spec: DeviceSpec): Promise<void> {
  await store.transaction(async (transaction) => {
    for (const { path } of deviceDirectories(spec)) {
      if (await exists(transaction, path)) await transaction.rm(path);
    }
  });
}

async function exists(store: XenstoreOperations, path: string): Promise<boolean> {
  return (await new Directory(store, path).find('state')) !== undefined;
}
