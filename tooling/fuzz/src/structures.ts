import { type AnyLayout, isLayout, x86_64 } from '@xenolith/xen-abi';
import { address, machine, number, type Operand, type Operation, slot, store } from './program.js';
import type { Random } from './random.js';
import {
  anyAddress,
  anyDomid,
  anyFrame,
  anyNumber,
  anyPort,
  anyReference,
  anyTime,
  anyWord,
  pageTableEntry,
  playPage,
  wildAddress,
} from './values.js';

/** Bytes of the argument pages that lists which structures point to are laid out in. */
const LISTS = 2 * 4096;
/** What one list takes at most. */
export const LIST_BYTES = 64 * 8;

interface Leaf {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly isPointer: boolean;
}

/** The scalar fields of a layout; of a union the fields of one member. */
function* leaves(r: Random, layout: AnyLayout, base = 0): Generator<Leaf> {
  const own = layout.for(x86_64);
  let fields = Object.entries(own.fields);
  const isUnion = fields.length > 1 && fields.every(([name]) => own.offset[name] === 0);
  if (isUnion) fields = [r.pick(fields)];
  for (const [name, type] of fields) {
    const offset = base + own.offset[name]!;
    const { kind, size } = type.resolve(x86_64);
    if (kind === 'absent' || size === 0) continue;
    if (isLayout(type)) yield* leaves(r, type, offset);
    else if (kind === 'array' || kind === 'bytes' || kind === 'text') {
      for (let at = 0; at + 8 <= Math.min(size, 128); at += 8)
        yield { name, offset: offset + at, size: 8, isPointer: false };
    } else yield { name, offset, size, isPointer: kind === 'handle' };
  }
}

/** What fields are called in Xen's headers, and what they hold. */
const FIELDS: readonly (readonly [RegExp, (r: Random) => Operand])[] = [
  [/dom(id)?$|^domain_id$/, anyDomid],
  [/mfn$|gpfn$|gfn$|frames?$/, anyFrame],
  [/^(ref|gref|ref_[ab])$/, anyReference],
  [/port$/, anyPort],
  [/^handle$/, (r) => number(r.oneIn(8) ? anyNumber(r) & 0xffff_ffffn : r.below(12))],
  [/^(host_addr|new_addr)$/, (r) => (r.oneIn(4) ? slot(playPage(r)) : address('arena', playPage(r) * 4096))],
  [/^(dev_bus_addr)$/, (r) => (r.oneIn(2) ? number(0) : machine('arena', playPage(r) * 4096))],
  [/^ptr$/, (r) => slot(playPage(r), r.below(4))],
  [/^val$/, pageTableEntry],
  [/addr|eip$/, anyAddress],
  [/vcpu$/, (r) => number(r.oneIn(8) ? anyNumber(r) & 0xffff_ffffn : r.below(5))],
  [/order$/, (r) => number(r.oneIn(3) ? r.below(12) : 0)],
  [
    /^(nr_|max_|size$|version$|priority$|type$|space$|op$|cmd$)/,
    (r) => number(r.oneIn(16) ? anyNumber(r) : r.below(8)),
  ],
  [/^(offset|page_off|len|length)$/, (r) => number(r.oneIn(4) ? anyNumber(r) : r.below(4100))],
  [/flags$/, (r) => number(r.oneIn(4) ? anyNumber(r) : r.below(32))],
  [/timeout|period/, anyTime],
];

function fieldValue(r: Random, { name, isPointer, size }: Leaf): Operand {
  if (isPointer) return pointer(r);
  if (r.oneIn(24)) return anyWord(r);
  const make = FIELDS.find(([pattern]) => pattern.test(name))?.[1];
  if (make) return make(r);
  return size < 8 ? number(r.oneIn(4) ? anyNumber(r) : r.below(8)) : anyWord(r);
}

/** A pointer to a list in the argument pages, or now and then to where none may be. */
export function pointer(r: Random): Operand {
  if (r.oneIn(16)) return wildAddress(r);
  if (r.oneIn(16)) return anyAddress(r);
  return address('arena', LISTS + r.below(16) * LIST_BYTES);
}

/** Lays out `count` structures at `at` of the arena. */
export function layOut(r: Random, layout: AnyLayout, at: number, count = 1): Operation[] {
  const operations: Operation[] = [];
  for (let i = 0; i < count; i++) {
    for (const leaf of leaves(r, layout, at + i * layout.size)) {
      operations.push(store(address('arena', leaf.offset), leaf.size as 1 | 2 | 4 | 8, fieldValue(r, leaf)));
    }
  }
  return operations;
}

/** Fills the lists that pointers lead to. */
export function fillLists(r: Random): Operation {
  const kind = r.below(4);
  const make = [anyFrame, anyWord, anyPort, (r2: Random) => number(r2.below(64))][kind]!;
  const size = kind === 2 ? 4 : 8;
  const values = Array.from({ length: 1 + r.below(16) }, () => make(r));
  return store(address('arena', LISTS + r.below(16) * LIST_BYTES), size, ...values);
}
