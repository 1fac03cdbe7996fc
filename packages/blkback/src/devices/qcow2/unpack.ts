import { Inflate } from 'fflate';
import { Decompress } from 'fzstd';
import { checkedFrames } from './zstd-frames.js';

/** What is given to the inflater at once: it makes at most 1,032 times as much of it. */
const PUSH = 16 << 10;
/** So much can keep the processor busy for some 0.1 s, if it is made for that. Then others have a turn. */
const TURN = 64 << 10;

/** Thrown through the libraries when there is enough. */
const FULL = new Error('full');

/**
 * Unpacks a compressed cluster. What stands behind the data that make the cluster is not looked at.
 * @param size bytes of the cluster: no more are made
 * @throws Error if the data are damaged, or make less
 */
export async function unpack(packed: Uint8Array, method: 'zlib' | 'zstd', size: number): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let at = 0;
  const take = (part: Uint8Array): void => {
    out.set(part.subarray(0, size - at), at);
    at = Math.min(size, at + part.length);
    if (at === size) throw FULL;
  };
  try {
    if (method === 'zlib') await inflate(packed, take);
    else new Decompress(take).push(checkedFrames(packed, size), true);
  } catch (error) {
    if (error !== FULL) throw error;
  }
  if (at < size) throw new Error(`it makes ${at} bytes only`);
  return out;
}

/** qcow2's "zlib" is a bare deflate stream. */
async function inflate(packed: Uint8Array, take: (part: Uint8Array) => void): Promise<void> {
  const stream = new Inflate((part) => take(part));
  for (let from = 0; from < packed.length; from += PUSH) {
    if (from > 0 && from % TURN === 0) await new Promise((resolve) => setTimeout(resolve));
    stream.push(packed.slice(from, from + PUSH));
  }
}
