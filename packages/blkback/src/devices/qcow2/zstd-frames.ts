/** No cluster is longer, and no usual level of compression has a larger window. */
const MAX_WINDOW = 2 << 20;
/** Encoders make no blocks that are smaller than this on average. */
const MIN_BLOCK = 2048;
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
const RLE = 1;
/** Bytes of the content size and of the dictionary's number, by their flags. */
const CONTENT_SIZE = [0, 2, 4, 8] as const;
const DICTIONARY = [0, 1, 2, 4] as const;

/**
 * The zstd frames at the beginning of the bytes (RFC 8878), without what stands behind them: that may be the beginning of
 * another cluster's. The decoder takes the memory that a frame claims and moves all of it at each block, so both are looked
 * at first.
 * @param size bytes that they are expected to make
 * @throws Error if the first frame claims too much, or is cut off
 */
export function checkedFrames(bytes: Uint8Array, size: number): Uint8Array {
  const blocks = { left: 16 + size / MIN_BLOCK };
  let end = 0;
  while (MAGIC.every((byte, i) => bytes[end + i] === byte)) {
    const next = frameEnd(bytes, end, blocks);
    if (typeof next === 'number') end = next;
    else if (end > 0) break;
    else throw new Error(next.problem);
  }
  return bytes.subarray(0, end);
}

function frameEnd(bytes: Uint8Array, start: number, blocks: { left: number }): number | { problem: string } {
  const flags = bytes[start + 4] ?? 0;
  const isSingle = (flags & 0x20) !== 0;
  const contentSize = CONTENT_SIZE[(flags >> 6) as 0 | 1 | 2 | 3] || (isSingle ? 1 : 0);
  const content = start + (isSingle ? 5 : 6) + DICTIONARY[(flags & 3) as 0 | 1 | 2 | 3];
  const window = isSingle ? littleEndian(bytes, content, contentSize) : windowOf(bytes[start + 5] ?? 0);
  if (window > MAX_WINDOW) return { problem: `it claims a window of ${window} bytes` };
  let at = content + contentSize;
  for (let isLast = false; !isLast; ) {
    if (at + 3 > bytes.length) return { problem: 'it is cut off' };
    if (blocks.left-- <= 0) return { problem: 'it has too many blocks' };
    const block = littleEndian(bytes, at, 3);
    isLast = (block & 1) !== 0;
    at += 3 + (((block >> 1) & 3) === RLE ? 1 : block >> 3);
  }
  if ((flags & 4) !== 0) at += 4;
  return at <= bytes.length ? at : { problem: 'it is cut off' };
}

const windowOf = (descriptor: number): number => 2 ** (10 + (descriptor >> 3)) * (1 + (descriptor & 7) / 8);

function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
