import type { xsdErrors } from '@xenolith/xen-abi';

/** The error names of the protocol (io/xs_wire.h). */
export type XenstoreErrorName = (typeof xsdErrors)[number];

/** A request that the store refused. `code` is the name that went over the wire; a newer server may know others. */
export class XenstoreError extends Error {
  override name = 'XenstoreError';

  constructor(
    readonly code: XenstoreErrorName | (string & {}),
    message: string = code,
  ) {
    super(message);
  }
}

/** Bytes that are not the protocol: a payload above the limit, a reply to no request. The connection is lost. */
export class XenstoreProtocolError extends Error {
  override name = 'XenstoreProtocolError';
}
