import * as abi from '@xenolith/xen-abi';

/** States of one end of a split device (`enum xenbus_state`, io/xenbus.h). */
export const XenbusState = {
  unknown: abi.XenbusStateUnknown,
  initialising: abi.XenbusStateInitialising,
  initWait: abi.XenbusStateInitWait,
  initialised: abi.XenbusStateInitialised,
  connected: abi.XenbusStateConnected,
  closing: abi.XenbusStateClosing,
  closed: abi.XenbusStateClosed,
  reconfiguring: abi.XenbusStateReconfiguring,
  reconfigured: abi.XenbusStateReconfigured,
} as const;
export type XenbusState = (typeof XenbusState)[keyof typeof XenbusState];

const NAMES = new Map<number, string>(Object.entries(XenbusState).map(([name, value]) => [value, name]));

/** `InitWait` → its name for messages. */
export const stateName = (state: XenbusState): string => NAMES.get(state) ?? String(state);

/** What a `state` node says; a node that is missing, or that is no state, is `unknown`, as for Linux. */
export function parseState(text: string | undefined): XenbusState {
  const value = text !== undefined && /^\d$/.test(text) ? Number(text) : XenbusState.unknown;
  return NAMES.has(value) ? (value as XenbusState) : XenbusState.unknown;
}
