import { FRAME, MachineMemory, PAGE_SIZE } from '@xenolith/mmu';
import { compileInterpreter, X86Processor } from '../x86/processor.js';

let compiled: Promise<WebAssembly.Module> | undefined;

/** A processor with one domain whose first `pages` frames are mapped from linear address 0 on, writable and executable. */
export interface FlatMachine {
  machine: MachineMemory;
  cpu: X86Processor;
  /** Machine address of linear address 0. */
  base: number;
  /** Writes bytes at a linear address. */
  write(linear: number, bytes: ArrayLike<number>): void;
  /** The page-table entry of a linear page, to be changed by tests. */
  entry(page: number): { address: number };
}

const DOMID = 1;

/** For tests. @param pages 1 … 512 */
export async function flatMachine(pages = 16): Promise<FlatMachine> {
  compiled ??= compileInterpreter();
  const machine = new MachineMemory(pages + 4);
  const cpu = new X86Processor(machine, await compiled);
  const first = machine.firstFrame;
  for (let mfn = first; mfn < machine.frames; mfn++)
    machine.view.setUint16(machine.entry(mfn) + FRAME.owner, DOMID, true);
  const [l4, l3, l2, l1] = [0, 1, 2, 3].map((i) => (first + pages + i) * PAGE_SIZE) as [
    number,
    number,
    number,
    number,
  ];
  const link = (table: number, index: number, target: number): void =>
    machine.view.setBigUint64(table + 8 * index, BigInt(target) | 7n, true);
  link(l4, 0, l3);
  link(l3, 0, l2);
  link(l2, 0, l1);
  for (let i = 0; i < pages; i++) link(l1, i, (first + i) * PAGE_SIZE);
  cpu.setDomain(DOMID);
  cpu.loadAddressSpace(l4 / PAGE_SIZE);
  const base = first * PAGE_SIZE;
  return {
    machine,
    cpu,
    base,
    write: (linear, bytes) => {
      machine.bytes.set(bytes, base + linear);
      cpu.codeWritten(base + linear, bytes.length);
    },
    entry: (page) => ({ address: l1 + 8 * page }),
  };
}
