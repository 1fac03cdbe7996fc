import { completed, writeBlank, writeChecksum, writeIpChecksum } from './checksum.js';
import type { Frame, Segmentation } from './frame.js';
import { findHeaders, type Headers } from './headers.js';

/** Least payload of a segment that is believed: less than any TCP has, and enough that segments stay few. */
export const MIN_SEGMENT = 48;
const FIN_PSH = 0x09;
const CWR = 0x80;

/** The headers of a frame that is really what its segmentation says. */
export function segmentable(data: Uint8Array, { protocol, size }: Segmentation): Headers | undefined {
  const headers = findHeaders(data);
  if (size < MIN_SEGMENT || headers?.protocol !== 'tcp') return undefined;
  return headers.version === (protocol === 'tcp4' ? 4 : 6) ? headers : undefined;
}

/**
 * Cuts a large frame of TCP into those that a network can carry, as network cards do: the headers are repeated with
 * lengths, sequence numbers and identifications of their own; FIN and PSH go with the last, CWR with the first.
 * @param checksum `blank`: leave it to the receiver
 * @returns the frame itself if it is not to be cut
 */
export function segment(frame: Frame, checksum: 'blank' | 'validated'): Frame[] {
  const { data, segmentation } = frame;
  const headers = segmentation && segmentable(data, segmentation);
  if (!headers) return [frame];
  const { payload, end } = headers;
  const frames: Frame[] = [];
  for (let at = payload; at < end || frames.length === 0; at += segmentation.size) {
    const until = Math.min(at + segmentation.size, end);
    const piece = new Uint8Array(payload + until - at);
    piece.set(data.subarray(0, payload));
    piece.set(data.subarray(at, until), payload);
    adjust(piece, headers, { index: frames.length, done: at - payload, isLast: until === end });
    const own = { ...headers, end: piece.length };
    if (checksum === 'blank') writeBlank(piece, own);
    else writeChecksum(piece, own);
    frames.push({ data: piece, checksum });
  }
  return frames;
}

interface Position {
  index: number;
  /** Bytes of the payload that earlier segments have. */
  done: number;
  isLast: boolean;
}

function adjust(data: Uint8Array, headers: Headers, { index, done, isLast }: Position): void {
  const { version, ip, transport } = headers;
  const view = new DataView(data.buffer);
  if (version === 4) {
    view.setUint16(ip + 2, data.length - ip);
    view.setUint16(ip + 4, view.getUint16(ip + 4) + index);
    writeIpChecksum(data, headers);
  } else view.setUint16(ip + 4, data.length - ip - 40);
  view.setUint32(transport + 4, view.getUint32(transport + 4) + done);
  if (!isLast) data[transport + 13]! &= ~FIN_PSH;
  if (index > 0) data[transport + 13]! &= ~CWR;
}

/** A frame as it goes to somebody who can do nothing for us: cut, and with its checksum in place. */
export const plainFrames = (frame: Frame): Frame[] =>
  frame.segmentation ? segment(frame, 'validated') : [completed(frame)];
