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
  /** Nodes of the frontend's directory that are the backend's: the frontend may only read them (libxl's `ro_fents`). */
  readonly frontendReadonly?: Readonly<Record<string, string | number>>;
}

export const frontendPath = ({ type, id, frontendId }: DeviceSpec): string =>
  `/local/domain/${frontendId}/device/${type}/${id}`;

export const backendPath = ({ type, id, frontendId, backendId = 0 }: DeviceSpec): string =>
  `/local/domain/${backendId}/backend/${type}/${frontendId}/${id}`;

/** libxl's own record of the device. */
export const libxlPath = ({ type, id, frontendId }: DeviceSpec): string =>
  `/libxl/${frontendId}/device/${type}/${id}`;

/** A node as a toolstack writes it; without permissions it has those of the node above. */
export interface DeviceNode {
  readonly path: string;
  readonly value: string;
  readonly permissions?: XenstorePermission[];
}

/**
 * What libxl writes for a device (libxl__device_generic_add): its own record, and both ends' directories with their links,
 * owners and first states. To be written in this order, in one transaction.
 */
export function deviceNodes(spec: DeviceSpec): DeviceNode[] {
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
  const frontend = {
    backend: back,
    'backend-id': backendId,
    state: XenbusState.initialising,
    ...spec.frontend,
  };
  const ofFrontend = readable(frontendId, backendId);
  const ofBackend = readable(backendId, frontendId);
  return [
    { path: libxlPath(spec), value: '', permissions: [{ domid: 0, access: 'n' }] },
    ...nodes(libxlPath(spec), { backend: back, ...backend }),
    { path: front, value: '', permissions: ofFrontend },
    ...nodes(front, frontend),
    ...nodes(front, spec.frontendReadonly ?? {}, ofBackend),
    { path: back, value: '', permissions: ofBackend },
    ...nodes(back, backend),
  ];
}

/** Belongs to `owner`, and `reader` may read it. */
const readable = (owner: number, reader: number): XenstorePermission[] => [
  { domid: owner, access: 'n' },
  { domid: reader, access: 'r' },
];

const nodes = (
  path: string,
  values: Readonly<Record<string, string | number>>,
  permissions?: XenstorePermission[],
): DeviceNode[] =>
  Object.entries(values).map(([name, value]) => ({
    path: `${path}/${name}`,
    value: String(value),
    ...(permissions && { permissions }),
  }));

/** Makes a device as libxl does: both ends see it at once and begin the handshake. */
export async function addDevice(store: Xenstore, spec: DeviceSpec): Promise<void> {
  await store.transaction(async (transaction) => {
    await remove(transaction, spec);
    for (const { path, value, permissions } of deviceNodes(spec)) {
      await transaction.write(path, value);
      if (permissions) await transaction.setPermissions(path, permissions);
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
  await store.transaction((transaction) => remove(transaction, spec));
}

async function remove(transaction: XenstoreOperations, spec: DeviceSpec): Promise<void> {
  for (const path of [libxlPath(spec), frontendPath(spec), backendPath(spec)])
    if ((await new Directory(transaction, path).find('state')) !== undefined) await transaction.rm(path);
}
