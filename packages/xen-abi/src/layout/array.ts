import type { Abi } from './abi.js';
import type { Compound, FieldType, Place, Resolved } from './types.js';

/** An array in memory. An index outside 0..length-1 throws a RangeError. */
export interface ReadonlyArrayAccessor<V> extends Place, Iterable<V> {
  readonly length: number;
  get(index: number): V;
}

/** An array of scalars in memory. An index outside 0..length-1 throws a RangeError. */
export interface ArrayAccessor<V> extends ReadonlyArrayAccessor<V> {
  set(index: number, value: V): void;
}

type AccessorOf<V, M> = M extends 'scalar' ? ArrayAccessor<V> : ReadonlyArrayAccessor<V>;

class MemoryArray<V> implements ArrayAccessor<V> {
  readonly #kept: V[] = [];
  constructor(
    readonly $view: DataView,
    readonly $base: number,
    readonly length: number,
    readonly element: Resolved<V>,
  ) {}

  get(index: number): V {
    const at = this.#at(index);
    if (!this.element.keep) return this.element.get(this.$view, at);
    let value = this.#kept[index];
    if (value === undefined) {
      value = this.element.get(this.$view, at);
      this.#kept[index] = value;
    }
    return value;
  }

  set(index: number, value: V): void {
    const at = this.#at(index);
    if (!this.element.set) throw new TypeError('elements of this array are set through their own accessors');
    this.element.set(this.$view, at, value);
  }

  #at(index: number): number {
    if (!(index >= 0 && index < this.length)) {
      throw new RangeError(`index ${index} is outside an array of ${this.length}`);
    }
    return this.$base + index * this.element.size;
  }

  *[Symbol.iterator](): Iterator<V> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }
}

/**
 * Elements of one type, without gaps. Structs in an array are reached with `.get(i).field`.
 *
 * @param length number of elements, or how the ABI decides it
 */
export function array<V, M extends 'scalar' | 'compound'>(
  element: FieldType<V, M>,
  length: number | ((abi: Abi) => number),
): Compound<AccessorOf<V, M>> {
  return {
    resolve(abi: Abi): Resolved<AccessorOf<V, M>> {
      const resolved = element.resolve(abi);
      const count = typeof length === 'number' ? length : length(abi);
      return {
        kind: 'array',
        size: resolved.size * count,
        align: resolved.align,
        keep: true,
        get: (view, at) => new MemoryArray(view, at, count, resolved) as unknown as AccessorOf<V, M>,
      };
    },
  };
}
