/**
 * What becomes of a domain that has shut down (`on_poweroff` and its siblings in xl.cfg(5)): it goes; it is started anew; it
 * is kept under another name while a new one starts; it is kept. No core is dumped: the report of a crash takes its place.
 * A soft reset is not possible for PV guests, so the domain goes, as on a real Xen.
 */
export const SHUTDOWN_ACTIONS = [
  'destroy',
  'restart',
  'rename-restart',
  'preserve',
  'coredump-destroy',
  'coredump-restart',
  'soft-reset',
] as const;
export type ShutdownAction = (typeof SHUTDOWN_ACTIONS)[number];
