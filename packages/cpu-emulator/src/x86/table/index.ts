import type { Row } from '../row.js';
import { arithmetic } from './arithmetic.js';
import { bits } from './bits.js';
import { branch } from './branch.js';
import { flagControl } from './flag-control.js';
import { move } from './move.js';
import { multiply } from './multiply.js';
import { shift } from './shift.js';
import { sseFloat } from './sse-float.js';
import { sseInteger } from './sse-integer.js';
import { sseMove } from './sse-move.js';
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
  ...move,
  ...multiply,
  ...shift,
  ...sseFloat,
  ...sseInteger,
  ...sseMove,
  ...sseString,
  ...stack,
  ...string,
  ...system,
  ...x87,
];
