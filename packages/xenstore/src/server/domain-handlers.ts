import { DOMID_SELF } from '@xenolith/xen-abi';
import { XenstoreError } from '../errors.js';
import { domainPath } from '../store/path.js';
import { atoi } from '../wire/text.js';
import type { DomainRecord } from './domains.js';
import { type Handler, OK, type Request } from './request.js';

// docs/misc/xenstore.txt, "Domain management and xenstored communications".

export const introduce: Handler = (request) => {
  const [domid, gfn, port] = request.strings(3).map(atoi) as [number, number, number];
  if (port <= 0) throw new XenstoreError('EINVAL');
  request.core.introduce(domid >>> 0, gfn, port);
  return OK;
};

export const release: Handler = (request) => {
  request.core.release(onlyDomain(request).domid);
  return OK;
};

export const resume: Handler = (request) => {
  onlyDomain(request).shutdown = false;
  return OK;
};

export const getDomainPath: Handler = (request) => `${domainPath(atoi(request.only()))}\0`;

export const isDomainIntroduced: Handler = (request) => {
  const domid = atoi(request.only()) >>> 0;
  const introduced = domid === DOMID_SELF || domid === 0 || request.core.domains.get(domid)?.connection;
  return introduced ? 'T\0' : 'F\0';
};

export const setTarget: Handler = (request) => {
  const [domain, target] = request.strings(2).map((text) => connected(request, atoi(text))) as [
    DomainRecord,
    DomainRecord,
  ];
  // Domain 0 has all rights as it is.
  if (domain.connection) domain.connection.target = target.domid;
  return OK;
};

function onlyDomain(request: Request): DomainRecord {
  const domid = atoi(request.only());
  if (domid === 0) throw new XenstoreError('EINVAL');
  return connected(request, domid);
}

function connected(request: Request, domid: number): DomainRecord {
  const domain = request.core.domains.get(domid);
  if (!domain || (domid !== 0 && !domain.connection)) throw new XenstoreError('ENOENT');
  return domain;
}
