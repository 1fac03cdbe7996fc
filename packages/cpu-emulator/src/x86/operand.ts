/** Operand codes in the manner of the opcode maps in the Intel SDM, volume 2, appendix A.2. */
export type OperandKind =
  /** E: general register or memory by ModRM.rm */
  | 'E'
  /** G: general register by ModRM.reg */
  | 'G'
  /** O: general register in the opcode's low bits */
  | 'O'
  /** M: memory only by ModRM.rm */
  | 'M'
  /** R: general register only by ModRM.rm */
  | 'R'
  /** I: immediate of the given size, zero-extended to the operation's size; sI: sign-extended */
  | 'I'
  | 'sI'
  /** J: relative branch target */
  | 'J'
  /** V, W, U: XMM register by reg, XMM register or memory by rm, XMM register only by rm */
  | 'V'
  | 'W'
  | 'U'
  /** P, Q, N: the same for MMX registers */
  | 'P'
  | 'Q'
  | 'N'
  /** T: x87 register ST(i) by ModRM.rm */
  | 'T'
  /** A: the accumulator; C: CL; 1: the constant one; D: memory offset without ModRM; S: segment register by reg */
  | 'A'
  | 'C'
  | '1'
  | 'D'
  | 'S'
  /** F: far pointer in the instruction, an offset of the operand size and a selector */
  | 'F'
  /** X: the elements of a string instruction; nothing is decoded, it only gives the size */
  | 'X';

/** b 1, w 2, d 4, q 8, t 10, x 16; v operand size; z operand size, at most 4; y operand size, 4 or 8; s stack size (8 in 64-bit mode). */
export type SizeCode = 'b' | 'w' | 'd' | 'q' | 't' | 'x' | 'v' | 'z' | 'y' | '';

export interface OperandSpec {
  kind: OperandKind;
  size: SizeCode;
}

const pattern = /^(sI|[EGOMRIJVWUPQNTACDSFX1])([bwdqtxvzy]?)$/;

/** "Ev,Gv" → specs; throws on an unknown code, which is a fault of the table. */
export function parseOperands(text: string): OperandSpec[] {
  if (text === '') return [];
  return text.split(',').map((code) => {
    const match = pattern.exec(code);
    if (!match) throw new Error(`instruction table: unknown operand code ${code}`);
    return { kind: match[1] as OperandKind, size: (match[2] ?? '') as SizeCode };
  });
}

/** Bytes of a size code under an effective operand size. */
export function operandBytes(code: SizeCode, operandSize: number): number {
  switch (code) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'q':
      return 8;
    case 't':
      return 10;
    case 'x':
      return 16;
    case 'z':
      return Math.min(operandSize, 4);
    case 'y':
      return operandSize === 8 ? 8 : 4;
    default:
      return operandSize;
  }
}
