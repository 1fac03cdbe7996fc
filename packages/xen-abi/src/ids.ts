declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** A domain id: 0 to 0x7fef for domains, above that the reserved `DOMID_*`. */
export type DomId = Branded<'DomId'>;
/** A machine frame number: a frame of the host's memory. */
export type Mfn = Branded<'Mfn'>;
/** A pseudo-physical frame number: a frame as a PV guest numbers its own memory. */
export type Pfn = Branded<'Pfn'>;
/** A guest frame number: what a hypercall calls a frame (an mfn for PV, a guest-physical frame otherwise). */
export type Gfn = Branded<'Gfn'>;
/** A grant reference: an index in the granting domain's table. */
export type GrantRef = Branded<'GrantRef'>;
/** An event-channel port of one domain. */
export type Port = Branded<'Port'>;

export const domId = (n: number): DomId => n as DomId;
export const mfn = (n: number): Mfn => n as Mfn;
export const pfn = (n: number): Pfn => n as Pfn;
export const gfn = (n: number): Gfn => n as Gfn;
export const grantRef = (n: number): GrantRef => n as GrantRef;
export const port = (n: number): Port => n as Port;
