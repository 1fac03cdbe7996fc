import { completed } from '../frame/checksum.js';
import type { Frame } from '../frame/frame.js';
import { findIp } from '../frame/headers.js';
import { segment } from '../frame/segment.js';

/** What a frontend can take. */
export interface FrontendFeatures {
  /** Frames of more than one page. */
  scatterGather: boolean;
  /** Blank checksums. */
  checksum4: boolean;
  checksum6: boolean;
  /** Frames that are to be cut. */
  tcp4: boolean;
  tcp6: boolean;
  /** It tells when it has offered pages. */
  rxNotify: boolean;
}

/** Does to a frame what the frontend cannot: cuts it, computes its checksum. */
export function adapted(frame: Frame, features: FrontendFeatures): Frame[] {
  const { segmentation, checksum } = frame;
  if (checksum !== 'blank' && !segmentation) return [frame];
  const version = segmentation ? (segmentation.protocol === 'tcp4' ? 4 : 6) : findIp(frame.data)?.version;
  const canBlank = version === 4 ? features.checksum4 : features.checksum6;
  if (!segmentation) return [canBlank ? frame : completed(frame)];
  if (features.scatterGather && features[segmentation.protocol]) return [frame];
  return segment(frame, canBlank ? 'blank' : 'validated');
}
