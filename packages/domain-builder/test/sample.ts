/** A generator of numbers that is the same everywhere (xorshift32). */
function numbers(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/**
 * The bytes that are packed in `fixtures/`: something like x86 code, with calls for the branch filter (also close
 * together), words that repeat at all distances, text, runs, and noise that cannot be packed.
 */
export function sampleBytes(size: number): Uint8Array {
  const next = numbers(0x1234567);
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const kind = next() % 16;
    if (kind < 6) {
      // A call to one of few targets, sometimes followed closely by bytes that look like one.
      const target = (next() % 40) * 0x1234 - at - 5;
      const code = [0xe8 | (next() & 1), target, target >> 8, target >> 16, target >> 24];
      if (kind === 0) code.unshift(0xe8, 0x90);
      for (const byte of code) if (at < size) bytes[at++] = byte;
    } else if (kind < 12 && at > 64) {
      const distance = 1 + (next() % Math.min(at, 1 << (next() % 22)));
      const length = 2 + (next() % (kind === 6 ? 600 : 24));
      for (let i = 0; i < length && at < size; i++, at++) bytes[at] = bytes[at - distance]!;
    } else if (kind === 12) {
      for (let i = next() % 12; i > 0 && at < size; i--) bytes[at++] = next();
    } else {
      for (const letter of `mov $${next() % 100}, %rax; `) if (at < size) bytes[at++] = letter.charCodeAt(0);
    }
  }
  return bytes;
}
