export {
  type BlockRequest,
  decodeRequest,
  decodeSegments,
  encodeRequest,
  encodeSegments,
  SEGMENTS_PER_PAGE,
  type Segment,
  slotSize,
} from './requests.js';
export { type BlockResponse, decodeResponse, encodeResponse } from './responses.js';
export { parseVdev } from './vdev.js';
