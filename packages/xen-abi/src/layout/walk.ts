import type { Abi } from './abi.js';
import type { AnyLayout } from './struct.js';
import type { Kind } from './types.js';

/** A field met by {@link walkFields}. */
export interface WalkedField {
  /** Path as in C: `console.domU.mfn`. */
  readonly path: string;
  /** Bytes from the start of the outermost layout. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  readonly kind: Kind;
}

/** Whether a value is a layout made by `struct` or `union`. */
export function isLayout(value: unknown): value is AnyLayout {
  return typeof value === 'object' && value !== null && 'cType' in value && 'fields' in value;
}

/**
 * Every field of a layout in order of declaration, the fields of anonymous structs and unions included; a field
 * of a named type is one field (walk that type's own layout for more).
 *
 * @param abi the guest's ABI; the layout's own one when absent
 */
export function* walkFields(layout: AnyLayout, abi: Abi = layout.abi): Generator<WalkedField> {
  yield* walk(layout, abi, '', 0);
}

function* walk(layout: AnyLayout, abi: Abi, prefix: string, base: number): Generator<WalkedField> {
  const own = layout.for(abi);
  for (const [name, type] of Object.entries(own.fields)) {
    const offset = base + (own.offset[name] ?? 0);
    const path = prefix + name;
    const { kind, size } = type.resolve(abi);
    if (kind === 'absent') continue;
    yield { path, offset, size, kind };
    if (isLayout(type) && type.cType === '') yield* walk(type, abi, `${path}.`, offset);
  }
}
