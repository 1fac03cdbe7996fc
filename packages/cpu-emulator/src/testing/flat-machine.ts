import { FRAME, MachineMemory, PAGE_SIZE } from '@xenolith/mmu';
import { compileInterpreter, X86Processor } from '../x86/processor.js';

let compiled: Promise<WebAssembly.Module> | undefined;

/** Flags of a page-table entry (Intel SDM volume 3, section 4.5). */
export const PTE = {
  present: 1n,
  write: 2n,
  user: 4n,
  accessed: 0x20n,
  dirty: 0x40n,
  large: 0x80n,
  noExecute: 1n << 63n,
} as const;
/** Present, writable, for users. */
export const RWU = 7n;

export interface FlatMachineTables {
  l4: number;
  l3: number;
  l2: number;
  l1: number;
}

/** A processor with one domain whose first `pages` frames are mapped from linear address 0 on, writable and executable. */
export interface FlatMachine {
  machine: MachineMemory;
  cpu: X86Processor;
  /** Machine address of linear address 0. */
  base: number;
  /** Machine addresses of the page tables. */
  tables: FlatMachineTables;
  /** Writes bytes at a linear address. */
  write(linear: number, bytes: ArrayLike<number>): void;
  /** The page-table entry of a linear page, to be changed by tests. */
  entry(page: number): { address: number };
  /** Entry of a linear page: as it is, or set to what `change` makes of it (with the page's translations forgotten). */
  pte(page: number, change?: (old: bigint) => bigint): bigint;
  /** Resets the registers, writes code given as hexadecimal text, and points rip at it and rsp at 0x8000. */
  start(code: string, at?: number): void;
}

const DOMID = 1;

/** "48 01 d8" → bytes. */
export const hex = (text: string): number[] =>
  text
    .split(/\s+/)
    .filter((b) => b !== '')
    .map((b) => Number.parseInt(b, 16));

/**
 * For tests.
 *
 * @param pages 1 … 512
 * @param spare frames behind these and the four tables, owned by the domain and mapped nowhere
 */
export async function flatMachine(pages = 16, spare = 0): Promise<FlatMachine> {
  compiled ??= compileInterpreter();
  const machine = new MachineMemory(pages + 4 + spare);
  const cpu = new X86Processor(machine, await compiled);
  const first = machine.firstFrame;
  for (let mfn = first; mfn < machine.frames; mfn++)
    machine.view.setUint16(machine.entry(mfn) + FRAME.owner, DOMID, true);
  const table = (i: number): number => (first + pages + i) * PAGE_SIZE;
  const tables = { l4: table(0), l3: table(1), l2: table(2), l1: table(3) };
  const link = (at: number, index: number, target: number): void =>
    machine.view.setBigUint64(at + 8 * index, BigInt(target) | RWU, true);
  link(tables.l4, 0, tables.l3);
  link(tables.l3, 0, tables.l2);
  link(tables.l2, 0, tables.l1);
  for (let i = 0; i < pages; i++) link(tables.l1, i, (first + i) * PAGE_SIZE);
  cpu.setDomain(DOMID);
  cpu.loadAddressSpace(tables.l4 / PAGE_SIZE);
  const base = first * PAGE_SIZE;
  const write = (linear: number, bytes: ArrayLike<number>): void => {
    machine.bytes.set(bytes, base + linear);
    cpu.codeWritten(base + linear, bytes.length);
  };
  return {
    machine,
    cpu,
    base,
    tables,
    write,
    entry: (page) => ({ address: tables.l1 + 8 * page }),
    pte: (page, change) => {
      const at = tables.l1 + 8 * page;
      if (change) {
        machine.view.setBigUint64(at, BigInt.asUintN(64, change(machine.view.getBigUint64(at, true))), true);
        cpu.flushPage(BigInt(page) << 12n);
      }
      return machine.view.getBigUint64(at, true);
    },
    start: (code, at = 0x1000) => {
      cpu.resetState();
      write(at, hex(code));
      cpu.regs.rip = BigInt(at);
      cpu.regs.gpr[4] = 0x8000n;
    },
  };
}
