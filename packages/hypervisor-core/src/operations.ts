import type { AnyLayout, Fields, Layout } from '@xenolith/xen-abi';
import * as abi from '@xenolith/xen-abi';
import type { GuestAccess } from './memory/interfaces.js';

/** Why a call is refused whatever its arguments: it is the control domain's, or it is not in this Xen at all. */
export type RefusedTo = 'domU' | 'everybody';

/** What an unprivileged PV domain gets of a hypercall or sub-operation that is not for it. */
export interface Refusal {
  /** Positive errno that an otherwise well-formed call answers. */
  readonly errno: number;
  readonly to: RefusedTo;
}

/** A sub-operation: what its argument is and what it does. `C` is what its handler works with. */
export interface Row<C> {
  /** The structure that its argument points to (or each element of a list); absent: none, or not a structure. */
  readonly argument?: AnyLayout;
  /** Answers a number (−errno on failure), or a bigint where 53 bits do not do. */
  readonly handler: (call: C, arg: bigint) => number | bigint;
  readonly refusal?: Refusal;
  /** May stop in the middle; the guest then makes the call again with what is left. */
  readonly preemptible?: boolean;
  /** What else a reader of the feature list should know. */
  readonly note?: string;
}

export interface Operation<C> extends Row<C> {
  /** With its prefix, as in Xen's header: `VCPUOP_up`. */
  readonly name: string;
  readonly number: number;
}

/** What is needed of a call to copy its argument in. */
interface WithGuest {
  readonly guest: GuestAccess;
}

export type Accessed<F> = ReturnType<Layout<F>['at']>;

/** Names of the header's constants that begin so, without the prefix. */
type NumberNames = { [K in keyof typeof abi]: (typeof abi)[K] extends number ? K : never }[keyof typeof abi];
type NamesAfter<P extends string> = NumberNames extends infer N
  ? N extends `${P}${infer R}`
    ? R
    : never
  : never;

/** The sub-operations of one hypercall, by the numbers of Xen's header. */
export class Operations<C, P extends string = string> {
  readonly #rows = new Map<number, Operation<C>>();

  /**
   * @param prefix of the names: `VCPUOP_`
   * @param rows by name without the prefix
   * @param unknown errno of every other number
   */
  constructor(
    readonly prefix: P,
    rows: { readonly [K in NamesAfter<P>]?: Row<C> },
    readonly unknown: number = abi.ENOSYS,
  ) {
    const numbers = abi as unknown as Readonly<Record<string, number>>;
    for (const [rest, row] of Object.entries<Row<C> | undefined>(rows)) {
      const name = prefix + rest;
      if (row) this.#rows.set(numbers[name]!, { ...row, name, number: numbers[name]! });
    }
  }

  get(command: number): Operation<C> | undefined {
    return this.#rows.get(command);
  }

  values(): Iterable<Operation<C>> {
    return this.#rows.values();
  }

  /** Does what `command` says, or answers the errno of what is not there. */
  make(command: number, call: C, arg: bigint): number | bigint {
    const row = this.#rows.get(command);
    return row ? row.handler(call, arg) : -this.unknown;
  }
}

/**
 * Copies a structure in, each time into the same private bytes, so that a hypercall makes no garbage: what it answers
 * (undefined: EFAULT) holds until it is asked again.
 */
export function structReader<F>(
  layout: Layout<F>,
): (guest: GuestAccess, address: bigint) => Accessed<F> | undefined {
  const bytes = new Uint8Array(layout.size);
  const copy = layout.at(new DataView(bytes.buffer));
  return (guest, address) => (guest.copyInto(address, bytes) ? copy : undefined);
}

/** A sub-operation whose argument is a structure: the handler gets a private copy of it, or the guest gets EFAULT. */
export const taking = <C extends WithGuest, F extends Fields>(
  layout: Layout<F>,
  handler: (call: C, request: Accessed<F>, arg: bigint) => number,
): Row<C> => {
  const read = structReader(layout);
  return {
    argument: layout,
    handler: (call, arg) => {
      const request = read(call.guest, arg);
      return request ? handler(call, request, arg) : -abi.EFAULT;
    },
  };
};

/** As `taking`; what the handler wrote into the structure is copied back if it did not fail. */
export const updating = <C extends WithGuest, F extends Fields>(
  layout: Layout<F>,
  handler: (call: C, request: Accessed<F>, arg: bigint) => number,
): Row<C> => {
  const read = structReader(layout);
  return {
    argument: layout,
    handler: (call, arg) => {
      const request = read(call.guest, arg);
      if (!request) return -abi.EFAULT;
      const rc = handler(call, request, arg);
      if (rc < 0) return rc;
      return call.guest.copyTo(arg, new Uint8Array(request.$view.buffer)) ? rc : -abi.EFAULT;
    },
  };
};

/** A sub-operation that reads its argument itself, or has none. */
export const plain = <C>(
  handler: (call: C, arg: bigint) => number | bigint,
  argument?: AnyLayout,
): Row<C> => ({
  handler,
  ...(argument && { argument }),
});

/** A sub-operation that is refused once its argument, if it has one, could be read. */
export const refused = <C extends WithGuest>(errno: number, to: RefusedTo, argument?: AnyLayout): Row<C> => ({
  ...(argument && { argument }),
  handler: (call, arg) =>
    argument && call.guest.copyFrom(arg, argument.size) === undefined ? -abi.EFAULT : -errno,
  refusal: { errno, to },
});

/** A refusal with a handler of its own, which says what comes before it. */
export const refusedAfter = <C>(errno: number, to: RefusedTo, row: Row<C>): Row<C> => ({
  ...row,
  refusal: { errno, to },
});

/** The same row, which may stop in the middle of long work. */
export const preemptible = <C>(row: Row<C>): Row<C> => ({ ...row, preemptible: true });
