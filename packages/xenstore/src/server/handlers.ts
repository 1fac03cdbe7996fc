import * as abi from '@xenolith/xen-abi';
import { control } from './control.js';
import * as domains from './domain-handlers.js';
import * as nodes from './node-handlers.js';
import type { Handler } from './request.js';
import * as watches from './watch-handlers.js';

interface HandlerEntry {
  run: Handler;
  /** Only for domain 0: others get EACCES. */
  privileged?: true;
  /** The transaction in the header is ignored. */
  outsideTransactions?: true;
}

/** Who answers which request; other types get ENOSYS. */
export const handlers: ReadonlyMap<number, HandlerEntry> = new Map<number, HandlerEntry>([
  [abi.XS_CONTROL, { run: control, privileged: true }],
  [abi.XS_DIRECTORY, { run: nodes.directory }],
  [abi.XS_READ, { run: nodes.read }],
  [abi.XS_GET_PERMS, { run: nodes.getPermissions }],
  [abi.XS_WATCH, { run: watches.watch, outsideTransactions: true }],
  [abi.XS_UNWATCH, { run: watches.unwatch, outsideTransactions: true }],
  [abi.XS_TRANSACTION_START, { run: watches.transactionStart }],
  [abi.XS_TRANSACTION_END, { run: watches.transactionEnd }],
  [abi.XS_INTRODUCE, { run: domains.introduce, privileged: true }],
  [abi.XS_RELEASE, { run: domains.release, privileged: true }],
  [abi.XS_GET_DOMAIN_PATH, { run: domains.getDomainPath }],
  [abi.XS_WRITE, { run: nodes.write }],
  [abi.XS_MKDIR, { run: nodes.mkdir }],
  [abi.XS_RM, { run: nodes.remove }],
  [abi.XS_SET_PERMS, { run: nodes.setPermissions }],
  [abi.XS_IS_DOMAIN_INTRODUCED, { run: domains.isDomainIntroduced, privileged: true }],
  [abi.XS_RESUME, { run: domains.resume, privileged: true }],
  [abi.XS_SET_TARGET, { run: domains.setTarget, privileged: true }],
  [abi.XS_RESET_WATCHES, { run: watches.resetWatches }],
  [abi.XS_DIRECTORY_PART, { run: nodes.directoryPart }],
]);
