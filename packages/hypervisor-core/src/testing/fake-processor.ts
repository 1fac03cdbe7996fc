import {
  type CpuRegisters,
  Exit,
  type ExitKind,
  type PrivilegedInstruction,
  type Processor,
} from '@xenolith/cpu-emulator';
import type { MachineMemory } from '@xenolith/mmu';

/** What a scripted run does to the processor before it exits. */
export type Script = (cpu: FakeProcessor) => ExitKind;

const PRESENT = 1n;
const RW = 2n;

/** A processor for tests: it executes scripts instead of instructions, and walks page tables without a TLB. */
export class FakeProcessor implements Processor {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly regs: CpuRegisters = {
    gpr: new BigUint64Array(16),
    rip: 0n,
    rflags: 2n,
    selectors: new Uint16Array(6),
    fsBase: 0n,
    gsBase: 0n,
    cpl: 3,
    long: true,
    xmm: new Uint8Array(256),
    mxcsr: 0x1f80,
    loadFxImage(image) {
      this.mxcsr = new DataView(image.buffer, image.byteOffset).getUint32(24, true);
      this.xmm.set(image.subarray(160, 416));
    },
  };
  retired = 0;
  vector = 0;
  errorCode = -1;
  cr2 = 0n;
  debugStatus = 0;
  length = 0;
  privileged: PrivilegedInstruction = { op: 'hlt' };
  tsc = 0n;
  taskSwitched = false;
  onForeignFrame: (mfn: number, write: boolean) => boolean = () => false;
  onRandom: () => bigint = () => 0n;
  readonly stateSize = 8 * (16 + 4) + 12;
  /** Runs to come; when they are used up, every run uses its whole budget. */
  readonly script: Script[] = [];
  readonly budgets: number[] = [];
  /** Frame of the L4 table and id that are in force. */
  root = 0;
  asid = 0;
  domid = 0;
  flushes = 0;
  /** Breakpoints that are in force: DR0–DR3 and DR7. */
  breakpoints: [addresses: bigint[], control: number] = [[], 0];
  private lastAsid = 0;

  constructor(machine: MachineMemory) {
    this.memory = machine.memory;
    this.bytes = machine.bytes;
    this.view = machine.view;
  }

  run(budget: number): ExitKind {
    this.budgets.push(budget);
    const next = this.script.shift();
    this.retired = next ? Math.min(1, budget) : budget;
    return next ? next(this) : Exit.budget;
  }

  newAddressSpaceId(): number {
    this.lastAsid = (this.lastAsid % 4094) + 1;
    return this.lastAsid;
  }

  loadAddressSpace(mfn: number): number {
    this.switchAddressSpace(mfn, this.newAddressSpaceId());
    return this.asid;
  }

  switchAddressSpace(mfn: number, asid: number): void {
    this.root = mfn;
    this.asid = asid;
  }

  setDomain(domid: number): void {
    this.domid = domid;
  }

  flushPage(): void {
    this.flushes++;
  }

  forgetWrites(): void {}

  flushAll(): void {
    this.flushes++;
  }

  translate(linear: bigint, access: 0 | 1 | 2): number {
    let table = this.root;
    for (let level = 4n; level > 0n; level--) {
      const slot = Number((linear >> (3n + 9n * level)) & 0x1ffn);
      const entry = table === 0 ? 0n : this.view.getBigUint64(table * 4096 + slot * 8, true);
      if (!(entry & PRESENT) || (access === 1 && !(entry & RW))) {
        this.cr2 = linear;
        this.errorCode = access === 1 ? 6 : 4;
        return -1;
      }
      table = Number((entry & 0x000f_ffff_ffff_f000n) >> 12n);
    }
    return table * 4096 + Number(linear & 0xfffn);
  }

  codeWritten(): void {}

  setBreakpoints(addresses: ArrayLike<bigint>, control: number): void {
    this.breakpoints = [Array.from(addresses), control];
  }

  emulateWrite(): boolean {
    return false;
  }

  saveState(into: Uint8Array): void {
    const view = new DataView(into.buffer);
    const { regs } = this;
    [...regs.gpr, regs.rip, regs.rflags, regs.fsBase, regs.gsBase].forEach((value, i) => {
      view.setBigUint64(i * 8, value, true);
    });
    regs.selectors.forEach((value, i) => {
      view.setUint16(160 + i * 2, value, true);
    });
  }

  loadState(from: Uint8Array): void {
    const view = new DataView(from.buffer);
    const { regs } = this;
    for (let i = 0; i < 16; i++) regs.gpr[i] = view.getBigUint64(i * 8, true);
    [regs.rip, regs.rflags, regs.fsBase, regs.gsBase] = [16, 17, 18, 19].map((i) =>
      view.getBigUint64(i * 8, true),
    ) as [bigint, bigint, bigint, bigint];
    for (let i = 0; i < 6; i++) regs.selectors[i] = view.getUint16(160 + i * 2, true);
  }

  resetState(): void {
    this.regs.gpr.fill(0n);
    this.regs.selectors.fill(0);
  }

  disassemble(): { text: string; length: number } {
    return { text: '(bad)', length: 1 };
  }
}
