import {
  ARENA_PAGES,
  address,
  domid,
  frame,
  machine,
  number,
  type Operand,
  slot,
  time,
  word32,
} from './program.js';
import type { Random } from './random.js';

/** Pages of the arena that hold arguments: always mapped, unless a program is reckless. */
export const ARGUMENT_PAGES = 8;
/** Pages of the arena that hold code and stacks for `run`. */
export const CODE_PAGES = 4;
/** Pages between: their frames and mappings are what programs play with. */
export const PLAY_PAGES = ARENA_PAGES - ARGUMENT_PAGES - CODE_PAGES;
/** Pages of the guest's memory behind its initial mapping that nothing uses. */
export const FREE_PAGES = 512;
/** Page tables that a guest starts with: L4, L3, L2, and L1s. */
const TABLES = 5;

export const playPage = (r: Random): number => ARGUMENT_PAGES + r.below(PLAY_PAGES);

/** A number of any size, more often one near a border. */
export function anyNumber(r: Random): bigint {
  switch (r.below(8)) {
    case 0:
      return r.u64();
    case 1:
      return r.u64() >> BigInt(r.below(64));
    case 2:
      return BigInt.asUintN(64, -(r.u64() >> BigInt(r.below(64))));
    case 3:
      return 1n << BigInt(r.below(64));
    case 4:
      return (1n << BigInt(r.below(64))) - 1n;
    default:
      return BigInt(r.below(16));
  }
}

export function anyFrame(r: Random): Operand {
  switch (r.below(16)) {
    case 0:
      return number(anyNumber(r));
    case 1:
      return number(r.below(16_384)); // Xen's, and other domains'
    case 2:
      return frame(r.pick(['sharedInfo', 'console', 'store', 'grants', 'startInfo', 'p2m'] as const));
    case 3:
      return frame('tables', r.below(TABLES));
    case 4:
    case 5:
    case 6:
      return frame('memory', r.below(FREE_PAGES));
    default:
      return frame('arena', playPage(r));
  }
}

/** Flags that page-table entries are made with: present, writable, user, accessed, dirty, and what is forbidden. */
const FLAGS = [0, 1, 5, 7, 7, 7, 0x27, 0x67, 0x63, 3, 0x107, 0x87, 0xe7, 0x1f, 2, 0x207].map(BigInt);
const NX = 1n << 63n;

export function pageTableEntry(r: Random): Operand {
  if (r.oneIn(16)) return number(r.u64());
  const flags = (r.oneIn(12) ? BigInt(r.below(4096)) : r.pick(FLAGS)) + (r.oneIn(8) ? NX : 0n);
  if (r.oneIn(24)) return number((BigInt(r.below(16_384)) << 12n) + flags);
  if (r.oneIn(12)) return machine(r.pick(['sharedInfo', 'console', 'grants'] as const), 0, flags);
  if (r.oneIn(8)) return machine('tables', r.below(TABLES) * 4096, flags);
  return r.oneIn(2)
    ? machine('memory', r.below(FREE_PAGES) * 4096, flags)
    : machine('arena', playPage(r) * 4096, flags);
}

const BORDERS = [
  0n,
  0x1000n,
  0x7fff_ffff_f000n,
  0x8000_0000_0000n,
  0x8000_0000_0000_0000n,
  0xffff_7fff_ffff_f000n,
  0xffff_8000_0000_0000n,
  0xffff_82d0_8020_0000n,
  0xffff_82d0_4000_0000n,
  0xffff_87ff_ffff_f000n,
  0xffff_8800_0000_0000n,
  0xffff_ffff_ffff_f000n,
];

/** An address that an argument must not have. */
export function wildAddress(r: Random): Operand {
  const border = r.pick(BORDERS);
  switch (r.below(4)) {
    case 0:
      return number(r.u64());
    case 1:
      return number(border);
    case 2:
      return number(border + BigInt(r.below(4096)));
    default:
      return number(BigInt.asUintN(64, border - BigInt(r.below(64))));
  }
}

export function anyAddress(r: Random): Operand {
  switch (r.below(12)) {
    case 0:
      return wildAddress(r);
    case 1:
      return address('tables', r.below(TABLES * 4096));
    case 2:
      return address(
        r.pick(['sharedInfo', 'startInfo', 'grants', 'p2m', 'console', 'store'] as const),
        r.below(4096),
      );
    case 3:
      return address('memory', r.below(FREE_PAGES * 4096));
    case 4:
      return address('arena', playPage(r) * 4096 + r.below(4096));
    default:
      return address('arena', playPage(r) * 4096);
  }
}

export function anyDomid(r: Random): Operand {
  const special = [0x7ff0, 0x7ff1, 0x7ff2, 0x7ff3, 0x7ff4, 0x7fff, 0, 1, 2, 3];
  if (r.oneIn(16)) return number(r.below(0x1_0000));
  if (r.oneIn(6)) return number(r.pick(special));
  return domid(r.pick(['self', 'self', 'self', 'xen', 'peer', 'peer', 'bystander'] as const));
}

export function anyPort(r: Random): Operand {
  if (r.oneIn(8)) return number(anyNumber(r) & 0xffff_ffffn);
  if (r.oneIn(16)) return number(r.pick([1023, 1024, 4095, 4096, 131_071, 131_072]));
  return number(r.below(24));
}

export function anyReference(r: Random): Operand {
  if (r.oneIn(12)) return number(anyNumber(r) & 0xffff_ffffn);
  if (r.oneIn(16)) return number(r.pick([255, 256, 511, 512, 513]));
  return number(r.below(32));
}

export function anyTime(r: Random): Operand {
  if (r.oneIn(24)) return number(anyNumber(r));
  return time(r.below(2_000_000));
}

/** Any argument word. */
export function anyWord(r: Random): Operand {
  switch (r.below(10)) {
    case 0:
      return anyFrame(r);
    case 1:
      return pageTableEntry(r);
    case 2:
      return anyAddress(r);
    case 3:
      return anyDomid(r);
    case 4:
      return slot(playPage(r), r.below(8));
    case 5:
      return anyTime(r);
    case 6:
      return word32(r.below(ARGUMENT_PAGES * 1024) * 4);
    default:
      return number(anyNumber(r));
  }
}
