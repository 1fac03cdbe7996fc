// Runs the flat benchmark program on the interpreter alone: node run-interpreter.mjs PROGRAM.ELF
// A processor with memory from linear address 0 on, page tables, and a serial port that prints: nothing else of Xen.
import { readFileSync } from 'node:fs';
import { compileInterpreter, Exit, X86Processor } from '@xenolith/cpu-emulator';
import { FRAME, MachineMemory, PAGE_SIZE } from '@xenolith/mmu';

const DOMID = 1;
/** 2 MiB: what one level-1 table maps. */
const PAGES = 512;
const PRESENT_WRITABLE_USER = 7n;

const machine = new MachineMemory(PAGES + 4);
const first = machine.firstFrame;
for (let mfn = first; mfn < machine.frames; mfn++) {
  machine.view.setUint16(machine.entry(mfn) + FRAME.owner, DOMID, true);
}
const tables = first + PAGES;
/** @param {number} table @param {number} index @param {number} mfn */
const link = (table, index, mfn) => {
  const entry = BigInt(mfn * PAGE_SIZE) | PRESENT_WRITABLE_USER;
  machine.view.setBigUint64(table * PAGE_SIZE + 8 * index, entry, true);
};
for (let level = 0; level < 3; level++) link(tables + level, 0, tables + level + 1);
for (let i = 0; i < PAGES; i++) link(tables + 3, i, first + i);

const file = readFileSync(/** @type {string} */ (process.argv[2]));
const elf = new DataView(file.buffer, file.byteOffset, file.length);
const headers = Number(elf.getBigUint64(32, true));
for (let i = 0; i < elf.getUint16(56, true); i++) {
  const header = headers + i * elf.getUint16(54, true);
  if (elf.getUint32(header, true) !== 1) continue; // PT_LOAD
  const offset = Number(elf.getBigUint64(header + 8, true));
  const address = Number(elf.getBigUint64(header + 16, true));
  const size = Number(elf.getBigUint64(header + 32, true));
  machine.bytes.set(file.subarray(offset, offset + size), first * PAGE_SIZE + address);
}

const cpu = new X86Processor(machine, await compileInterpreter());
cpu.setDomain(DOMID);
cpu.loadAddressSpace(tables);
cpu.regs.rip = elf.getBigUint64(24, true);

let line = '';
for (;;) {
  const exit = cpu.run(1_000_000_000);
  if (exit === Exit.budget) continue;
  const { privileged } = cpu;
  if (exit !== Exit.privileged || privileged.op !== 'out') break;
  const c = String.fromCharCode(Number(cpu.regs.gpr[0] & 0xffn));
  line += c;
  if (c === '\n') {
    process.stdout.write(line);
    line = '';
  }
  cpu.regs.rip += BigInt(cpu.length);
}
