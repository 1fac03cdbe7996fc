import { type OperandSpec, parseOperands } from './operand.js';
import type { Semantics } from './semantics.js';

/**
 * One instruction: its encodings, and what it does. Everything else (decoder, interpreter, disassembler, test
 * generator) is made from these rows.
 */
export interface Row {
  readonly name: string;
  readonly encodings: readonly Encoding[];
  readonly semantics: Semantics;
  readonly options: RowOptions;
}

export interface RowOptions {
  /** LOCK is allowed when the destination is memory. */
  lock?: boolean;
  /** Operand size in 64-bit mode is 8 unless 66 says 2 (pushes, pops), or always 8 (near branches). */
  default64?: boolean;
  force64?: boolean;
  /** Condition code by the opcode's low four bits. */
  cc?: boolean;
  /** REP/REPNE prefixes make variants: 'rep' for MOVS, STOS, LODS; 'repz' for CMPS, SCAS. */
  rep?: 'rep' | 'repz';
  /** Decoding does not go on behind it. */
  ends?: boolean;
  /** Operands are vectors or floating point: #NM when CR0.TS is set. */
  fpu?: boolean;
  /** Has a memory operand that no encoding shows (XLAT). */
  implicitAddress?: boolean;
  /** Not in 64-bit mode, or only there. */
  mode?: 32 | 64;
  /** Jcc, JMP, CALL: has a variant for targets in the same page. */
  near?: boolean;
  /** The memory operand's address is wanted, nothing is accessed (LEA, prefetch, NOP). */
  addressOnly?: boolean;
}

export interface Encoding {
  /** 0 one-byte, 1 0F, 2 0F38, 3 0F3A */
  map: 0 | 1 | 2 | 3;
  opcode: number;
  /** Mandatory prefix; 'any': none is mandatory and 66, F2, F3 keep their usual meaning; 'norep': 66 does, the others are refused. */
  prefix: 'any' | 'none' | 'norep' | '66' | 'f2' | 'f3';
  /** ModRM.reg that selects within a group. */
  group?: number;
  /** Whole ModRM byte that selects (0F 01 D0 and the like). */
  modrm?: number;
  /** Number of opcodes covered, for registers or conditions in the low bits. */
  span: 1 | 8 | 16;
  /** ModRM must name a register (3) or memory (m). */
  mod?: 'r' | 'm';
  operands: readonly OperandSpec[];
  /** Has a ModRM byte. */
  hasModrm: boolean;
}

const MAPS = ['', '0f', '0f38', '0f3a'];

/**
 * Reads an encoding: `[prefix] [0f [38|3a]] opcode[+][cc][/group][r|m] [operands]`, for example "00 Eb,Gb", "83/0 Ev,sIb",
 * "50+ Ov", "0f 80cc Jz", "f3 0f b8 Gv,Ev", "np 0f 28 Vx,Wx", "0f 01=f9".
 */
export function parseEncoding(text: string): Encoding {
  const words = text.split(' ');
  let prefix: Encoding['prefix'] = 'any';
  if (
    ['np', 'nr', '66', 'f2', 'f3'].includes(words[0]!) &&
    words.length > 1 &&
    words[1] !== undefined &&
    /^[0-9a-f]{2}/.test(words[1])
  ) {
    const word = words.shift()!;
    prefix = word === 'np' ? 'none' : word === 'nr' ? 'norep' : (word as '66' | 'f2' | 'f3');
  }
  let mapName = '';
  while (
    words.length > 1 &&
    ((mapName === '' && words[0] === '0f') || (mapName === '0f' && (words[0] === '38' || words[0] === '3a')))
  ) {
    mapName += words.shift();
  }
  const match = /^([0-9a-f]{2})(\+|cc)?(?:=([0-9a-f]{2}))?(?:\/([0-7]))?([rm])?$/.exec(words[0] ?? '');
  if (!match) throw new Error(`instruction table: cannot read encoding "${text}"`);
  const operands = parseOperands(words[1] ?? '');
  const usesModrm = operands.some((o) => 'EGMRVWUPQNTS'.includes(o.kind));
  return {
    map: MAPS.indexOf(mapName) as Encoding['map'],
    opcode: Number.parseInt(match[1]!, 16),
    prefix,
    span: match[2] === '+' ? 8 : match[2] === 'cc' ? 16 : 1,
    ...(match[3] !== undefined && { modrm: Number.parseInt(match[3], 16) }),
    ...(match[4] !== undefined && { group: Number(match[4]) }),
    ...(match[5] !== undefined && { mod: match[5] as 'r' | 'm' }),
    operands,
    hasModrm: usesModrm || match[4] !== undefined || match[3] !== undefined,
  };
}

export function row(
  name: string,
  encodings: readonly string[],
  semantics: Semantics,
  options: RowOptions = {},
): Row {
  return { name, encodings: encodings.map(parseEncoding), semantics, options };
}
