import { XENSTORE_REL_PATH_MAX } from '@xenolith/xen-abi';
import { XenstoreError } from '../errors.js';
import { type Handler, OK } from './request.js';
import { pathForClient } from './watches.js';

// docs/misc/xenstore.txt, "Watches" and "Transactions".

export const watch: Handler = (request) => {
  const { connection, core } = request;
  const strings = request.strings(2);
  if (strings.length !== 2) throw new XenstoreError('EINVAL');
  const [given, token] = strings as [string, string];
  const path = request.absolute(given);
  if (!given.startsWith('@')) request.checkPath(path);
  else if (given.length > XENSTORE_REL_PATH_MAX) throw new XenstoreError('EINVAL');
  if (core.watches.has(connection, path, token)) throw new XenstoreError('EEXIST');
  if (!connection.privileged && connection.watches.size > core.quotas.watches)
    throw new XenstoreError('E2BIG');
  if (!core.domains.fits(connection.domid, path.length + token.length)) throw new XenstoreError('ENOMEM');
  const added = core.watches.add(connection, path, token, path === given ? undefined : connection.base);
  request.afterReply = () => connection.sendEvent(pathForClient(added, path), token);
  return OK;
};

export const unwatch: Handler = (request) => {
  const strings = request.strings(2);
  if (strings.length !== 2) throw new XenstoreError('EINVAL');
  const path = request.absolute(strings[0]!);
  if (!request.core.watches.remove(request.connection, path, strings[1]!)) throw new XenstoreError('ENOENT');
  return OK;
};

export const resetWatches: Handler = (request) => {
  request.connection.dropWatchesAndTransactions();
  return OK;
};

export const transactionStart: Handler = (request) => {
  const { connection, core } = request;
  if (request.transaction) throw new XenstoreError('EBUSY');
  if (!connection.privileged && connection.transactions.size > core.quotas.transactions) {
    throw new XenstoreError('ENOSPC');
  }
  return `${core.startTransaction(connection)}\0`;
};

export const transactionEnd: Handler = (request) => {
  const answer = request.only();
  if (answer !== 'T' && answer !== 'F') throw new XenstoreError('EINVAL');
  if (!request.transaction) throw new XenstoreError('ENOENT');
  request.core.endTransaction(request.connection, request.transactionId, answer === 'T');
  return OK;
};
