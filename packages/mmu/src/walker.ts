import {
  callExpr,
  type FunctionRef,
  type I32,
  type I64,
  i32,
  i64,
  type ModuleBuilder,
  select,
} from '@xenolith/wasm-builder';
import { FAULT_FOREIGN, FAULT_NOT_CANONICAL, MMU } from './control.js';
import {
  FRAME,
  FRAME_ENTRY_SIZE,
  FRAME_FLAG_CODE,
  FRAME_FLAG_PUBLIC,
  FRAME_TABLE,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_EXEC,
  TLB_READ,
  TLB_WRITE,
} from './layout.js';

export const ACCESS = { read: 0, write: 1, fetch: 2 } as const;

/** Page-table entry bits (Intel SDM volume 3, section 4.5; AMD APM volume 2, section 5.4). */
const PTE = { present: 1n, write: 2n, user: 4n, accessed: 0x20n, dirty: 0x40n, large: 0x80n } as const;
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n;
const at = (address: number): I32 => i32.const(address);

export const frameEntry = (machine: I32): I32 =>
  i32.add(i32.mul(i32.shr_u(machine, i32.const(12)), i32.const(FRAME_ENTRY_SIZE)), i32.const(FRAME_TABLE));

/** The machine address of a TLB entry for a linear address, in the table at `table`. */
export const tlbEntry = (table: I32, address: I64): I32 =>
  i32.add(
    i32.shl(
      i32.and(i32.wrap(i64.shr_u(address, i64.const(12))), i32.const(TLB_ENTRIES - 1)),
      i32.const(Math.log2(TLB_ENTRY_SIZE)),
    ),
    table,
  );

/** A linear page's tag under the current address space. */
export const tlbTag = (address: I64): I64 =>
  i64.or(i64.and(address, i64.const(-4096)), i64.load(at(MMU.asid)));

/**
 * Emits `walk(linear: i64, access: i32) → i32`: the machine address, after a four-level walk with all of its checks, A/D
 * updates and the refill of the access's TLB; 0 on a fault, which `MMU.fault*` then describe.
 *
 * A frame with decoded code gets no write entry, so every write to it passes `writeBegin`.
 *
 * @param foreign import `(mfn, write) → allowed`, asked about frames that the domain does not own
 */
export function emitWalk(m: ModuleBuilder, foreign: FunctionRef): FunctionRef {
  return m.function(['i64', 'i32'], ['i32'], (f) => {
    const address = f.param('i64', 0);
    const access = f.param('i32', 1);
    const table = f.local('i32');
    const slot = f.local('i32');
    const pte = f.local('i64');
    const allowed = f.local('i64');
    const shift = f.local('i64');
    const machine = f.local('i32');
    const offset = f.local('i64');
    const entry = f.local('i32');
    const isWrite = i32.eq(access, i32.const(ACCESS.write));

    const fault = (vector: number, code: I32): void => {
      f.store(at(MMU.faultVector), 0, i32.const(vector));
      f.store(at(MMU.faultCode), 0, code);
      f.store64(at(MMU.faultAddress), 0, address);
      f.return(i32.const(0));
    };
    /** #PF error code: bit 1 write, bit 2 user, bit 4 fetch; the caller gives P (0) and RSVD (3). */
    const pageFault = (bits: number): void =>
      fault(
        14,
        i32.or(
          i32.const(bits),
          i32.or(
            i32.shl(isWrite, i32.const(1)),
            i32.or(
              i32.shl(i32.load(at(MMU.user)), i32.const(2)),
              i32.shl(i32.eq(access, i32.const(ACCESS.fetch)), i32.const(4)),
            ),
          ),
        ),
      );

    f.if(i64.ne(i64.shr_s(i64.shl(address, i64.const(16)), i64.const(16)), address), () =>
      fault(FAULT_NOT_CANONICAL, i32.const(0)),
    );

    f.set(table, i32.load(at(MMU.root)));
    f.set(shift, i64.const(39));
    // The inverse of NX is accumulated with the rights that every level must grant.
    f.set(allowed, i64.const(-1));
    f.block((leaf) => {
      f.loop((next) => {
        f.set(
          slot,
          i32.add(table, i32.shl(i32.and(i32.wrap(i64.shr_u(address, shift)), i32.const(511)), i32.const(3))),
        );
        f.set(pte, i64.load(slot));
        f.if(i64.eqz(i64.and(pte, i64.const(PTE.present))), () => pageFault(0));
        f.set(allowed, i64.and(allowed, i64.xor(pte, i64.const(1n << 63n))));
        f.if(
          i64.ge_u(
            i64.and(pte, i64.const(ADDRESS_MASK)),
            i64.shl(i64.extend_u(i32.load(at(MMU.frames))), i64.const(12)),
          ),
          () => pageFault(9),
        );
        f.brIf(leaf, i64.eq(shift, i64.const(12)));
        f.if(
          i32.and(i64.eq(shift, i64.const(39)), i64.ne(i64.and(pte, i64.const(PTE.large)), i64.const(0))),
          () => pageFault(9),
        );
        f.brIf(
          leaf,
          i32.and(i64.le_u(shift, i64.const(30)), i64.ne(i64.and(pte, i64.const(PTE.large)), i64.const(0))),
        );
        f.if(i64.eqz(i64.and(pte, i64.const(PTE.accessed))), () =>
          f.store64(slot, 0, i64.or(pte, i64.const(PTE.accessed))),
        );
        f.set(table, i32.wrap(i64.and(pte, i64.const(ADDRESS_MASK))));
        f.set(shift, i64.sub(shift, i64.const(9)));
        f.br(next);
      });
    });

    const offsetMask = f.let(i64.sub(i64.shl(i64.const(1), shift), i64.const(1)));
    // A large page: the address bits below its size are reserved (but bit 12, PAT), and all of it need not exist.
    f.set(offset, i64.and(address, offsetMask));
    f.if(
      i32.and(
        i64.gt_u(shift, i64.const(12)),
        i32.or(
          i64.ne(i64.and(i64.and(pte, i64.const(ADDRESS_MASK & ~0x1000n)), offsetMask), i64.const(0)),
          i64.ge_u(
            i64.or(i64.and(pte, i64.const(ADDRESS_MASK & ~0x1000n)), offset),
            i64.shl(i64.extend_u(i32.load(at(MMU.frames))), i64.const(12)),
          ),
        ),
      ),
      () => pageFault(9),
    );

    f.if(
      i32.or(
        i32.and(i32.load(at(MMU.user)), i64.eqz(i64.and(allowed, i64.const(PTE.user)))),
        i32.or(
          i32.and(
            i32.and(isWrite, i64.eqz(i64.and(allowed, i64.const(PTE.write)))),
            i32.or(i32.load(at(MMU.user)), i32.load(at(MMU.writeProtect))),
          ),
          i32.and(i32.eq(access, i32.const(ACCESS.fetch)), i64.ge_s(allowed, i64.const(0))),
        ),
      ),
      () => pageFault(1),
    );

    f.set(
      machine,
      i32.wrap(
        i64.or(i64.and(i64.and(pte, i64.const(ADDRESS_MASK)), i64.xor(offsetMask, i64.const(-1))), offset),
      ),
    );
    f.set(entry, frameEntry(machine));
    f.if(
      i32.and(
        i32.ne(i32.load16_u(entry, FRAME.owner), i32.load(at(MMU.domid))),
        i32.eqz(i32.and(i32.load16_u(entry, FRAME.flags), i32.const(FRAME_FLAG_PUBLIC))),
      ),
      () =>
        f.if(i32.eqz(callExpr<'i32'>(foreign, [i32.shr_u(machine, i32.const(12)), isWrite])), () =>
          fault(FAULT_FOREIGN, i32.shr_u(machine, i32.const(12))),
        ),
    );

    const wanted = select(isWrite, i64.const(PTE.accessed | PTE.dirty), i64.const(PTE.accessed));
    f.if(i64.ne(i64.and(pte, wanted), wanted), () => f.store64(slot, 0, i64.or(pte, wanted)));

    f.if(
      i32.and(
        isWrite,
        i32.ne(i32.and(i32.load16_u(entry, FRAME.flags), i32.const(FRAME_FLAG_CODE)), i32.const(0)),
      ),
      () => f.return(machine),
    );
    f.if(i32.and(i32.load(at(MMU.watching)), i32.ne(access, i32.const(ACCESS.fetch))), () =>
      f.return(machine),
    );
    f.if(i64.gt_u(shift, i64.const(12)), () => f.store(at(MMU.largePages), 0, i32.const(1)));
    const tables = select(
      isWrite,
      at(TLB_WRITE),
      select(i32.eq(access, i32.const(ACCESS.fetch)), at(TLB_EXEC), at(TLB_READ)),
    );
    f.set(slot, tlbEntry(tables, address));
    f.store64(slot, 0, tlbTag(address));
    f.store(slot, 8, i32.sub(machine, i32.wrap(address)));
    f.push(machine);
  });
}
