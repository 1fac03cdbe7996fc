import { type MachineMemory, PAGE_SIZE } from '@xenolith/mmu';
import type { CodeCache } from '../core/code-cache.js';
import { BLOCK_SIZE, ENGINE, RECORD, RECORD_SIZE } from '../core/record.js';
import { decode, type Instruction, MAX_LENGTH, RIP_BASE, segmentOf } from './decode.js';
import { type Instances, x86Instances } from './numbering.js';
import { gprSlot, mmxSlot, STATE, xmmSlot } from './state.js';
import type { Micro } from './variants.js';

const MAX_INSTRUCTIONS = 48;
/** Up to two records before an instruction, and one at the end. */
const MAX_RECORDS = MAX_INSTRUCTIONS * 3 + 1;

/** Slot whose value is a segment's base in 64-bit and flat code. */
const segmentSlot = (segment: number): number =>
  segment === 4 ? STATE.fsBase : segment === 5 ? STATE.gsBase : ENGINE.zero;

/** Decodes the code at one address into a block of records. */
export class BlockBuilder {
  readonly #instances: Instances = x86Instances();
  #block = 0;
  #count = 0;

  constructor(
    readonly machine: MachineMemory,
    readonly cache: CodeCache,
  ) {}

  /**
   * @param address machine address of the first instruction
   * @param nextPage machine address of the linear page behind this one, or 0 when there is none (the fault is then set)
   * @returns the block's address, or 0 when already the first instruction needs a next page that is not there
   */
  build(address: number, long: boolean, nextPage: () => number): number {
    const page = address & ~(PAGE_SIZE - 1);
    const mode = long ? 64 : 32;
    const bytes = this.machine.bytes.subarray(page, page + PAGE_SIZE);
    this.#block = this.cache.reserve(MAX_RECORDS);
    this.#count = 0;
    let offset = address - page;
    let previous: { handler: number; record: number } | undefined;

    for (let n = 0; ; n++) {
      if (offset >= PAGE_SIZE || n === MAX_INSTRUCTIONS) {
        this.#continueAt(offset);
        break;
      }
      const insn = decode(bytes, offset, mode);
      if (insn === 'incomplete') {
        // It goes on in the next page: a block of its own, so that nothing before it waits for that page.
        if (n > 0) {
          this.#continueAt(offset);
          break;
        }
        return this.#crossing(page, offset, mode, nextPage());
      }
      if (typeof insn === 'string') {
        this.#micro(insn === 'invalid' ? 'invalid' : 'tooLong', offset, 0);
        offset += 1;
        break;
      }
      const { handler, record } = this.#instruction(insn, offset, mode);
      if (
        previous &&
        insn.encoded.row.options.cc &&
        insn.encoded.row.options.near &&
        this.#isNear(insn, offset)
      ) {
        const fused = this.#instances.fused(previous.handler, insn.opcode & 15);
        if (fused !== undefined && previous.record === record - RECORD_SIZE) {
          this.machine.view.setUint16(previous.record + RECORD.handler, fused, true);
        }
      }
      previous = { handler, record };
      offset += insn.length;
      if (insn.encoded.row.options.ends) break;
    }
    const length = Math.min(offset, PAGE_SIZE) - (address - page);
    this.cache.enter(this.#block, Number(long), this.#count, [
      { start: address, length: Math.max(length, 1) },
    ]);
    return this.#block;
  }

  /** The one instruction that lies in two pages. */
  #crossing(page: number, offset: number, mode: 64 | 32, next: number): number {
    if (next === 0) return 0;
    const joined = new Uint8Array(2 * MAX_LENGTH);
    const here = PAGE_SIZE - offset;
    joined.set(this.machine.bytes.subarray(page + offset, page + PAGE_SIZE));
    joined.set(this.machine.bytes.subarray(next, next + MAX_LENGTH), here);
    this.#micro('checkNext', offset, next);
    const insn = decode(joined.subarray(0, here + MAX_LENGTH), 0, mode);
    let length = here + 1;
    if (typeof insn === 'string') this.#micro(insn === 'invalid' ? 'invalid' : 'tooLong', offset, 0);
    else {
      this.#instruction(insn, offset, mode);
      length = insn.length;
      if (!insn.encoded.row.options.ends) this.#continueAt(offset + insn.length);
    }
    this.cache.enter(this.#block, Number(mode === 64), this.#count, [
      { start: page + offset, length: here },
      { start: next, length: Math.max(length - here, 1) },
    ]);
    return this.#block;
  }

  #record(handler: number, offset: number): number {
    const record = this.#block + BLOCK_SIZE + this.#count++ * RECORD_SIZE;
    const { view, u32 } = this.machine;
    u32.fill(0, record >> 2, (record + RECORD_SIZE) >> 2);
    view.setUint16(record + RECORD.handler, handler, true);
    view.setUint16(record + RECORD.offset, offset, true);
    view.setUint16(record + RECORD.rm, ENGINE.zero, true);
    view.setUint16(record + RECORD.index, ENGINE.zero, true);
    view.setUint16(record + RECORD.reg, ENGINE.zero, true);
    return record;
  }

  #micro(name: Micro, offset: number, imm: number): number {
    const record = this.#record(this.#instances.micro[name], offset);
    this.machine.u32[(record + RECORD.imm) >> 2] = imm;
    return record;
  }

  #continueAt(offset: number): void {
    this.#micro(offset < PAGE_SIZE ? 'continue' : 'continueFar', offset, offset);
  }

  #isNear(insn: Instruction, offset: number): boolean {
    const target = offset + insn.length + insn.relative;
    return target >= 0 && target < PAGE_SIZE;
  }

  #instruction(insn: Instruction, offset: number, mode: 64 | 32): { handler: number; record: number } {
    const { options } = insn.encoded.row;
    const { view } = this.machine;
    const specs = insn.encoded.encoding.operands;
    if (options.fpu) this.#micro('fpu', offset, 0);

    const memory =
      insn.memory && !(options.addressOnly && insn.encoded.row.name !== 'lea') ? insn.memory : undefined;
    let simple = memory;
    if (memory && this.#needsMicro(insn, offset, mode)) {
      this.#address(insn, offset);
      simple = undefined;
    }
    const form = !insn.memory ? 'register' : simple && simple.index >= 0 ? 'index' : 'base';
    const near = options.near === true && this.#isNear(insn, offset);
    // Pointers of string instructions have the address size.
    const stack = options.rep ? insn.addressSize : mode === 64 ? 8 : 4;
    const handler = this.#instances.of(insn, form, near, stack);
    const record = this.#record(handler, offset);
    view.setUint8(record + RECORD.length, insn.length);

    if (insn.memory) {
      if (simple) this.#setAddress(record, simple, insn, offset);
      else view.setUint16(record + RECORD.rm, ENGINE.temp, true);
    } else {
      view.setUint8(record + RECORD.scale, insn.addressSize);
      // The accumulator stands in for ModRM.rm in the short forms.
      const accumulator = specs.some((o) => o.kind === 'A') && !specs.some((o) => o.kind === 'O');
      const rm = accumulator ? gprSlot(0) : slotOf(insn, insn.rm, 'WUQNEOR');
      view.setUint16(record + RECORD.rm, rm, true);
    }
    view.setUint16(record + RECORD.reg, slotOf(insn, insn.reg, 'VPG'), true);
    if (options.rep || options.implicitAddress) {
      view.setUint16(record + RECORD.index, segmentSlot(insn.segment), true);
    }
    const imm = specs.some((o) => o.kind === 'J')
      ? BigInt(offset + insn.length + insn.relative)
      : insn.immediate;
    view.setBigUint64(record + RECORD.imm, BigInt.asUintN(64, imm), true);
    const aux = specs.some((o) => o.kind === 'T') ? insn.rm & 7 : segmentOf(insn);
    view.setUint16(record + RECORD.aux, aux, true);
    return { handler, record };
  }

  /** Base + index + disp does not do: a segment base, 32-bit addresses, or a displacement from RIP that overflows. */
  #needsMicro(insn: Instruction, offset: number, mode: 64 | 32): boolean {
    const m = insn.memory!;
    if (
      m.absolute !== undefined ||
      (insn.segment >= 4 && insn.encoded.row.name !== 'lea') ||
      mode === 32 ||
      insn.addressSize === 4
    )
      return true;
    return m.base === RIP_BASE && Math.abs(m.disp + offset + insn.length) > 0x7fff_ffff;
  }

  #address(insn: Instruction, offset: number): void {
    const m = insn.memory!;
    const { view } = this.machine;
    const name =
      m.absolute !== undefined ||
      (m.base === RIP_BASE && Math.abs(m.disp + offset + insn.length) > 0x7fff_ffff)
        ? 'absolute'
        : ({ 8: 'address', 4: 'address32', 2: 'address16' } as const)[insn.addressSize];
    const record = this.#micro(name, offset, 0);
    const segment = insn.encoded.row.name === 'lea' ? -1 : insn.segment;
    view.setUint16(record + RECORD.reg, segmentSlot(segment), true);
    if (m.absolute !== undefined) view.setBigUint64(record + RECORD.imm, m.absolute, true);
    else if (name === 'absolute') {
      // Segment bases do not go with a displacement at the very end of its range; no compiler makes that.
      view.setUint16(record + RECORD.reg, ENGINE.pageBase, true);
      view.setBigInt64(record + RECORD.imm, BigInt(m.disp + offset + insn.length), true);
    } else this.#setAddress(record, m, insn, offset);
  }

  #setAddress(
    record: number,
    m: NonNullable<Instruction['memory']>,
    insn: Instruction,
    offset: number,
  ): void {
    const { view } = this.machine;
    const rip = m.base === RIP_BASE;
    const base = rip ? ENGINE.pageBase : m.base < 0 ? ENGINE.zero : gprSlot(m.base);
    view.setUint16(record + RECORD.rm, base, true);
    view.setUint16(record + RECORD.index, m.index < 0 ? ENGINE.zero : gprSlot(m.index), true);
    view.setUint8(record + RECORD.scale, m.scale);
    // POP to memory computes its address with the rsp behind the pop.
    const popped = insn.encoded.row.name === 'pop' && m.base === 4 ? insn.rawSize : 0;
    view.setInt32(record + RECORD.disp, m.disp + (rip ? offset + insn.length : popped), true);
  }
}

/**
 * The slot of the register that the operand of one of `kinds` names, or of rax when there is none. Byte registers 4–7 without
 * REX are AH, CH, DH, BH; REX does not reach MMX registers.
 */
function slotOf(insn: Instruction, register: number, kinds: string): number {
  const spec = insn.encoded.encoding.operands.find((o) => kinds.includes(o.kind));
  if (!spec) return gprSlot(kinds.includes('E') ? register : 0);
  if ('VWU'.includes(spec.kind)) return xmmSlot(register);
  if ('PQN'.includes(spec.kind)) return mmxSlot(register & 7);
  const byte = spec.size === 'b';
  return byte && insn.rex === 0 && register >= 4 && register < 8
    ? gprSlot(register - 4) + 1
    : gprSlot(register);
}
