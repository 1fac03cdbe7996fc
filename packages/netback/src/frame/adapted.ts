import { completed } from './checksum.js';
import type { Frame } from './frame.js';
import { findIp } from './headers.js';
import { segment } from './segment.js';

/** What the one at the other end of a pair of rings can take. */
export interface Abilities {
  /** Frames of more than one page. */
  scatterGather: boolean;
  /** Blank checksums. */
  checksum4: boolean;
  checksum6: boolean;
  /** Frames that are to be cut. */
  tcp4: boolean;
  tcp6: boolean;
}

/** Does to a frame what the other end cannot: cuts it, computes its checksum. */
export function adapted(frame: Frame, can: Abilities): Frame[] {
  const { segmentation, checksum } = frame;
  if (checksum !== 'blank' && !segmentation) return [frame];
  const version = segmentation ? (segmentation.protocol === 'tcp4' ? 4 : 6) : findIp(frame.data)?.version;
  const canBlank = version === 4 ? can.checksum4 : can.checksum6;
  if (!segmentation) return [canBlank ? frame : completed(frame)];
  if (can.scatterGather && can[segmentation.protocol]) return [frame];
  return segment(frame, canBlank ? 'blank' : 'validated');
}
