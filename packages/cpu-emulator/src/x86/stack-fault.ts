import type { Instruction } from './decode.js';
import { REG } from './state.js';

/** Rows that push or pop besides what their operands access. */
const STACK_ROWS = new Set(['push', 'pop', 'pushf', 'popf', 'call', 'ret', 'retf', 'iret', 'enter', 'leave']);
/** The longest memory operand is FXSAVE's. */
const LONGEST = 512n;

/**
 * Whether an access of `insn` to the address `at`, which is not canonical, used the stack segment: it raises #SS then, and
 * #GP otherwise (Intel SDM volume 3, section 3.3.7.1). Explicit operands use it when their base is rsp or rbp and no FS
 * or GS prefix says otherwise.
 *
 * @param address linear address of the memory operand
 */
export function isStackAccess(
  insn: Instruction,
  at: bigint,
  address: (insn: Instruction) => bigint,
): boolean {
  const m = insn.memory;
  const { row } = insn.encoded;
  if (m && !row.options.addressOnly) {
    // The address reported is that of the first byte of a page when only the access's second page is at fault.
    const start = address(insn);
    const isOperand = at >= start && at < start + LONGEST;
    if (isOperand || !STACK_ROWS.has(row.name)) {
      return (m.base === REG.rsp || m.base === REG.rbp) && insn.segment < 4;
    }
  }
  return STACK_ROWS.has(row.name);
}
