import type { Place } from './semantics.js';

/**
 * Which handlers get a place in the dispatch loop. V8 compiles the loop as one function and needs it to stay within a
 * few hundred handlers; the rest are called through a table, some 4 ns dearer. Chosen from the mix of a Linux boot.
 */
interface Policy {
  sizes: readonly number[];
  /** Memory operands that stay hot: none, those only read, or all. */
  memory: 'none' | 'source' | 'all';
}

const word = [4, 8];
const POLICIES: Record<string, Policy> = {
  mov: { sizes: [1, 2, 4, 8], memory: 'all' },
  add: { sizes: word, memory: 'all' },
  sub: { sizes: word, memory: 'source' },
  and: { sizes: word, memory: 'source' },
  or: { sizes: word, memory: 'source' },
  xor: { sizes: word, memory: 'source' },
  cmp: { sizes: [1, 4, 8], memory: 'all' },
  test: { sizes: [1, 4, 8], memory: 'all' },
  lea: { sizes: word, memory: 'all' },
  movzx: { sizes: word, memory: 'all' },
  movsx: { sizes: word, memory: 'all' },
  movsxd: { sizes: [8], memory: 'all' },
  inc: { sizes: word, memory: 'none' },
  dec: { sizes: word, memory: 'none' },
  not: { sizes: word, memory: 'none' },
  neg: { sizes: word, memory: 'none' },
  shl: { sizes: word, memory: 'none' },
  shr: { sizes: word, memory: 'none' },
  sar: { sizes: word, memory: 'none' },
  rol: { sizes: word, memory: 'none' },
  ror: { sizes: word, memory: 'none' },
  imul: { sizes: word, memory: 'source' },
  cbw: { sizes: word, memory: 'none' },
  cmov: { sizes: word, memory: 'none' },
  set: { sizes: [1], memory: 'none' },
  push: { sizes: [8], memory: 'source' },
  pop: { sizes: [8], memory: 'none' },
  leave: { sizes: [8], memory: 'none' },
  j: { sizes: word, memory: 'none' },
  jmp: { sizes: word, memory: 'all' },
  call: { sizes: word, memory: 'all' },
  ret: { sizes: word, memory: 'none' },
  nop: { sizes: [4], memory: 'all' },
};

export interface HandlerShape {
  size: number;
  places: readonly Place[];
  stack: 8 | 4 | 2;
}

export function isHot(name: string, shape: HandlerShape): boolean {
  const policy = POLICIES[name];
  if (!policy || shape.stack !== 8 || !policy.sizes.includes(shape.size)) return false;
  const memory = shape.places.findIndex((p) => p.kind === 'memory');
  if (memory < 0) return true;
  return (
    policy.memory === 'all' ||
    (policy.memory === 'source' && memory > 0) ||
    (policy.memory === 'source' && shape.places.length === 1)
  );
}

const EQUALITY = [4, 5];
const UNSIGNED = [...EQUALITY, 2, 3, 6, 7];
const ALL = [...UNSIGNED, 8, 9, 12, 13, 14, 15];

/** The condition codes with which a hot handler is worth fusing: the pairs that compilers emit. */
export function fusedConditions(name: string, shape: HandlerShape): readonly number[] {
  const memory = shape.places.find((p) => p.kind === 'memory');
  const immediate = shape.places.some((p) => p.kind === 'immediate');
  if (memory?.kind === 'memory' && memory.index) return [];
  switch (name) {
    case 'cmp':
      if (memory) return immediate ? EQUALITY : UNSIGNED;
      return shape.size === 1 ? UNSIGNED : ALL;
    case 'test':
      if (memory) return immediate ? EQUALITY : [];
      return immediate ? EQUALITY : [...EQUALITY, 8, 9, 14, 15];
    case 'add':
    case 'sub':
    case 'and':
      return immediate && !memory ? [...EQUALITY, 8, 9] : [];
    case 'inc':
    case 'dec':
      return memory ? [] : [...EQUALITY, 8, 9];
    default:
      return [];
  }
}
