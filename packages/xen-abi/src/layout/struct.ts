import { type Abi, x86_64 } from './abi.js';
import type { Compound, FieldType, Place, Resolved } from './types.js';

/** The fields of a struct or union by name, in the order of the C declaration. */
export type Fields = Readonly<Record<string, FieldType<unknown>>>;

type ValueOf<T> = T extends FieldType<infer V> ? V : never;
type ScalarKeys<F> = { [K in keyof F]: F[K] extends FieldType<unknown, 'compound'> ? never : K }[keyof F];

/** Typed properties on a struct in memory: scalars may be assigned, the rest is reached through accessors. */
export type Accessor<F> = Place & { [K in ScalarKeys<F>]: ValueOf<F[K]> } & {
  readonly [K in Exclude<keyof F, ScalarKeys<F>>]: ValueOf<F[K]>;
};

/** The accessor type of a layout: `type T = AccessorOf<typeof SharedInfo>`. */
export type AccessorOf<L> = L extends Layout<infer F> ? Accessor<F> : never;

/** A C struct or union laid out for one ABI. */
export interface Layout<F> extends Compound<Accessor<F>> {
  /** The C type, for example `struct vcpu_info`; empty for an anonymous one. */
  readonly cType: string;
  readonly abi: Abi;
  /** `sizeof`, in bytes. */
  readonly size: number;
  /** Alignment in bytes. */
  readonly align: number;
  /** `offsetof` for every field, in bytes. */
  readonly offset: { readonly [K in keyof F]: number };
  readonly fields: F;
  /** The one ABI that has this C type; absent if the declaration holds for all. */
  readonly only?: Abi;
  /** An accessor on the bytes at `offset` of `view`. Reads and writes go straight to that memory. */
  at(view: DataView, offset?: number): Accessor<F>;
  /** An accessor on fresh zeroed memory of its own. */
  create(): Accessor<F>;
  /** An accessor on a private copy: what a guest wrote is copied once, then validated, then used. */
  copy(view: DataView, offset?: number): Accessor<F>;
  /**
   * The same declaration under another ABI.
   *
   * @throws RangeError when the C type is another one there (see `only`)
   */
  for(abi: Abi): Layout<F>;
}

/** Any layout, whatever its fields: what is known without them. */
export interface AnyLayout {
  readonly cType: string;
  readonly abi: Abi;
  readonly size: number;
  readonly align: number;
  readonly offset: Readonly<Record<string, number>>;
  readonly fields: Fields;
  readonly only?: Abi;
  for(abi: Abi): AnyLayout;
}

interface Placed {
  readonly offsets: Record<string, number>;
  readonly size: number;
  readonly align: number;
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

function place(members: [string, Resolved<unknown>][], overlay: boolean, packed: boolean): Placed {
  const offsets: Record<string, number> = {};
  let end = 0;
  let align = 1;
  for (const [name, type] of members) {
    const at = overlay ? 0 : roundUp(end, packed ? 1 : type.align);
    offsets[name] = at;
    end = Math.max(end, at + type.size);
    if (!packed) align = Math.max(align, type.align);
  }
  return { offsets, size: roundUp(end, align), align };
}

/** One class per layout, with a getter (and a setter for scalars) per field on its prototype. */
function accessorClass(members: [string, Resolved<unknown>][], offsets: Record<string, number>) {
  class StructAccessor implements Place {
    $kept: unknown[] | undefined = undefined;
    constructor(
      readonly $view: DataView,
      readonly $base: number,
    ) {}
  }
  for (const [slot, [name, type]] of members.entries()) {
    const at = offsets[name] ?? 0;
    const { get, set } = type;
    Object.defineProperty(StructAccessor.prototype, name, {
      enumerable: true,
      get: type.keep
        ? function (this: StructAccessor): unknown {
            this.$kept ??= new Array(members.length);
            let value = this.$kept[slot];
            if (value === undefined) {
              value = get(this.$view, this.$base + at);
              this.$kept[slot] = value;
            }
            return value;
          }
        : function (this: StructAccessor): unknown {
            return get(this.$view, this.$base + at);
          },
      ...(set && {
        set(this: StructAccessor, value: unknown): void {
          set(this.$view, this.$base + at, value);
        },
      }),
    });
  }
  return StructAccessor;
}

interface Declaration<F> {
  readonly cType: string;
  readonly fields: F;
  readonly overlay: boolean;
  readonly only?: Abi;
  readonly packed?: boolean;
}

function build<F extends Fields>(declaration: Declaration<F>, abi: Abi): Layout<F> {
  const { cType, fields, overlay, only, packed = false } = declaration;
  const members = Object.entries(fields).map(([name, type]): [string, Resolved<unknown>] => [
    name,
    type.resolve(abi),
  ]);
  const { offsets, size, align } = place(members, overlay, packed);
  const Class = accessorClass(members, offsets);
  const at = (view: DataView, offset = 0) => new Class(view, offset) as unknown as Accessor<F>;
  const others = new Map<string, Layout<F>>();
  const layout: Layout<F> = {
    cType,
    abi,
    size,
    align,
    offset: offsets as { readonly [K in keyof F]: number },
    fields,
    ...(only && { only }),
    at,
    create: () => at(new DataView(new ArrayBuffer(size))),
    copy(view, offset = 0) {
      const from = view.byteOffset + offset;
      const mine = new Uint8Array(size);
      mine.set(new Uint8Array(view.buffer, from, size));
      return at(new DataView(mine.buffer));
    },
    for(other) {
      if (other.name === abi.name) return layout;
      if (only && only.name !== other.name)
        throw new RangeError(`${cType} is declared for ${only.name} only`);
      let found = others.get(other.name);
      if (!found) {
        found = build(declaration, other);
        others.set(other.name, found);
      }
      return found;
    },
    resolve: (other) => {
      const own = layout.for(other);
      return { kind: 'compound', size: own.size, align: own.align, keep: true, get: own.at };
    },
  };
  return layout;
}

/**
 * Declares a C struct: each field at the next offset that its alignment allows, as C compilers do.
 *
 * @param cType the C type (`struct vcpu_info`, `vcpu_info_t`), or an empty string if C gives it no name
 * @param options `only`: the one ABI under which the C type has these fields; `packed`: no padding
 */
export function struct<const F extends Fields>(
  cType: string,
  fields: F,
  options: { readonly only?: Abi; readonly packed?: boolean } = {},
): Layout<F> {
  return build({ cType, fields, overlay: false, ...options }, options.only ?? x86_64);
}

/** Declares a C union: every field at offset 0. `cType` as for {@link struct}. */
export function union<const F extends Fields>(cType: string, fields: F): Layout<F> {
  return build({ cType, fields, overlay: true }, x86_64);
}
