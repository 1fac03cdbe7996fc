import type { Row } from '../row.js';
import { arithmetic } from './arithmetic.js';
import { bits } from './bits.js';
import { branch } from './branch.js';
import { flagControl } from './flag-control.js';
import { legacy } from './legacy.js';
import { move } from './move.js';
import { multiply } from './multiply.js';
import { shift } from './shift.js';
import { sseArithmetic } from './sse-arithmetic.js';
import { sseCompare } from './sse-compare.js';
import { sseConvert } from './sse-convert.js';
import { sseInteger } from './sse-integer.js';
import { sseLogic } from './sse-logic.js';
import { sseMove } from './sse-move.js';
import { sseShuffle } from './sse-shuffle.js';
import { sseString } from './sse-string.js';
import { stack } from './stack.js';
import { string } from './string.js';
import { system } from './system.js';
import { x87 } from './x87.js';

/** Every instruction of the processor. */
export const rows: readonly Row[] = [
  ...arithmetic,
  ...bits,
  ...branch,
  ...flagControl,
  ...legacy,
  ...move,
  ...multiply,
  ...shift,
  ...sseArithmetic,
  ...sseCompare,
  ...sseConvert,
  ...sseInteger,
  ...sseLogic,
  ...sseMove,
  ...sseShuffle,
  ...sseString,
  ...stack,
  ...string,
  ...system,
  ...x87,
];
