import { BadInputError } from '@xenolith/host-interface';
import { hex } from '../reader.js';

// Where each kind of probability lies in the one table (layout of our own; names as in the LZMA specification).
const IS_MATCH = 0; // [state 12][posState 16]
const IS_REP = 192; // [state]
const IS_REP_G0 = 204;
const IS_REP_G1 = 216;
const IS_REP_G2 = 228;
const IS_REP0_LONG = 240; // [state][posState]
const POS_SLOT = 432; // [length state 4][64]
const POS_SPECIAL = 688; // 115 used
const POS_ALIGN = 816; // 16
const LEN_CHOICE = 832; // match lengths: choice, choice2, low [16][8], mid [16][8], high [256]
const LEN_LOW = 834;
const LEN_MID = 962;
const LEN_HIGH = 1090;
/** The coder of repeated matches' lengths has the same layout, so far after the other. */
const LEN_REP = 514;
const LITERAL = LEN_CHOICE + 2 * LEN_REP; // [1 << (lc + lp)][0x300], lc + lp ≤ 4
const PROBABILITIES = LITERAL + (0x300 << 4);
const HALF = 1024;

const damaged = (at: number, why: string): BadInputError =>
  new BadInputError(`The kernel's xz payload is damaged at offset ${hex(at)}: ${why}.`);

/**
 * Decodes LZMA2 (as in .xz files) straight into the output, which is also the dictionary: there is no window to copy
 * through. Written as one large loop with everything in locals, because a kernel is some 70 million coded bits.
 */
export class Lzma2Decoder {
  private readonly probs = new Uint16Array(PROBABILITIES);
  private state = 0;
  private rep0 = 0;
  private rep1 = 0;
  private rep2 = 0;
  private rep3 = 0;
  private lc = 0;
  private lp = 0;
  private pb = 0;

  /** Input position after the last chunk. */
  inputEnd = 0;
  /** Output position after the last byte. */
  outputEnd = 0;

  constructor(
    private readonly input: Uint8Array,
    private readonly output: Uint8Array,
  ) {}

  /**
   * Decodes chunks until the end marker; the results are in `inputEnd` and `outputEnd`.
   * @throws BadInputError for damaged data, or if the output does not fit
   */
  decode(inputStart: number, outputStart: number): void {
    const { input, output } = this;
    let at = inputStart;
    let out = outputStart;
    let needDictionary = true;
    let needState = true;
    let needProperties = true;
    for (;;) {
      if (at >= input.length) throw damaged(at, 'it ends within the LZMA2 data');
      const control = input[at]!;
      if (control === 0) break;
      if (control >= 0xe0 || control === 1) {
        needDictionary = false;
        outputStart = out;
      } else if (needDictionary) throw damaged(at, 'the first chunk does not reset the dictionary');
      if (at + (control < 0x80 ? 3 : 5) > input.length) throw damaged(at, 'it ends within the LZMA2 data');
      if (control < 0x80) {
        if (control > 2) throw damaged(at, `unknown LZMA2 chunk type ${hex(control)}`);
        const size = ((input[at + 1]! << 8) | input[at + 2]!) + 1;
        at += 3;
        if (at + size > input.length) throw damaged(at, 'it ends within an LZMA2 chunk');
        if (out + size > output.length)
          throw damaged(at, `it holds more than the declared ${hex(output.length)} bytes`);
        output.set(input.subarray(at, at + size), out);
        at += size;
        out += size;
        continue;
      }
      const size = (((control & 0x1f) << 16) | (input[at + 1]! << 8) | input[at + 2]!) + 1;
      const packed = ((input[at + 3]! << 8) | input[at + 4]!) + 1;
      const start = at;
      at += 5;
      if (control >= 0xc0) {
        this.setProperties(input[at++]!, start);
        needProperties = false;
      } else if (needProperties) throw damaged(start, 'the first LZMA chunk has no properties');
      if (control >= 0xa0) {
        this.reset();
        needState = false;
      } else if (needState) throw damaged(start, 'the first LZMA chunk does not reset the state');
      if (at + packed > input.length || packed < 5) throw damaged(at, 'it ends within an LZMA2 chunk');
      if (out + size > output.length)
        throw damaged(start, `it holds more than the declared ${hex(output.length)} bytes`);
      this.decodeChunk(at, at + packed, outputStart, out, out + size);
      at += packed;
      out += size;
    }
    this.inputEnd = at + 1;
    this.outputEnd = out;
  }

  private setProperties(byte: number, at: number): void {
    if (byte >= 9 * 5 * 5) throw damaged(at, `impossible LZMA properties ${hex(byte)}`);
    this.lc = byte % 9;
    this.lp = Math.floor(byte / 9) % 5;
    this.pb = Math.floor(byte / 45);
    if (this.lc + this.lp > 4) throw damaged(at, `LZMA2 does not allow lc ${this.lc} with lp ${this.lp}`);
  }

  private reset(): void {
    this.probs.fill(HALF);
    this.state = 0;
    this.rep0 = this.rep1 = this.rep2 = this.rep3 = 0;
  }

  /** One LZMA chunk: input [at, end), output [out, limit); matches may reach back to `start`. */
  private decodeChunk(at: number, end: number, start: number, out: number, limit: number): void {
    const { probs, input, output } = this;
    const posMask = (1 << this.pb) - 1;
    const literalMask = (1 << this.lp) - 1;
    const lc = this.lc;
    const lcShift = 8 - lc;
    let state = this.state;
    let rep0 = this.rep0;
    let rep1 = this.rep1;
    let rep2 = this.rep2;
    let rep3 = this.rep3;
    let code =
      ((input[at + 1]! << 24) | (input[at + 2]! << 16) | (input[at + 3]! << 8) | input[at + 4]!) >>> 0;
    let range = 0xffff_ffff;
    let p = 0;
    let prob = 0;
    let bound = 0;
    if (input[at] !== 0) throw damaged(at, 'the range coder does not start with 0');
    at += 5;

    while (out < limit) {
      const posState = (out - start) & posMask;
      if (range < 0x100_0000) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | input[at++]!) >>> 0;
      }
      p = IS_MATCH + (state << 4) + posState;
      prob = probs[p]!;
      bound = Math.imul(range >>> 11, prob) >>> 0;
      if (code < bound) {
        range = bound;
        probs[p] = prob + ((2048 - prob) >>> 5);
        const previous = out > start ? output[out - 1]! : 0;
        const base =
          LITERAL + Math.imul(0x300, (((out - start) & literalMask) << lc) + (previous >>> lcShift));
        let symbol = 1;
        if (state >= 7) {
          let matched = output[out - rep0 - 1]!;
          while (symbol < 0x100) {
            matched <<= 1;
            const bit = matched & 0x100;
            if (range < 0x100_0000) {
              range = (range << 8) >>> 0;
              code = ((code << 8) | input[at++]!) >>> 0;
            }
            p = base + 0x100 + bit + symbol;
            prob = probs[p]!;
            bound = Math.imul(range >>> 11, prob) >>> 0;
            if (code < bound) {
              range = bound;
              probs[p] = prob + ((2048 - prob) >>> 5);
              symbol <<= 1;
              if (bit !== 0) break;
            } else {
              range = (range - bound) >>> 0;
              code = (code - bound) >>> 0;
              probs[p] = prob - (prob >>> 5);
              symbol = (symbol << 1) | 1;
              if (bit === 0) break;
            }
          }
        }
        while (symbol < 0x100) {
          if (range < 0x100_0000) {
            range = (range << 8) >>> 0;
            code = ((code << 8) | input[at++]!) >>> 0;
          }
          p = base + symbol;
          prob = probs[p]!;
          bound = Math.imul(range >>> 11, prob) >>> 0;
          if (code < bound) {
            range = bound;
            probs[p] = prob + ((2048 - prob) >>> 5);
            symbol <<= 1;
          } else {
            range = (range - bound) >>> 0;
            code = (code - bound) >>> 0;
            probs[p] = prob - (prob >>> 5);
            symbol = (symbol << 1) | 1;
          }
        }
        output[out++] = symbol;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        continue;
      }
      range = (range - bound) >>> 0;
      code = (code - bound) >>> 0;
      probs[p] = prob - (prob >>> 5);

      // A match: repeated distance or new one.
      let lengthCoder = LEN_CHOICE;
      let isNew = false;
      if (range < 0x100_0000) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | input[at++]!) >>> 0;
      }
      p = IS_REP + state;
      prob = probs[p]!;
      bound = Math.imul(range >>> 11, prob) >>> 0;
      if (code < bound) {
        range = bound;
        probs[p] = prob + ((2048 - prob) >>> 5);
        isNew = true;
        rep3 = rep2;
        rep2 = rep1;
        rep1 = rep0;
        state = state < 7 ? 7 : 10;
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probs[p] = prob - (prob >>> 5);
        lengthCoder = LEN_CHOICE + LEN_REP;
        if (range < 0x100_0000) {
          range = (range << 8) >>> 0;
          code = ((code << 8) | input[at++]!) >>> 0;
        }
        p = IS_REP_G0 + state;
        prob = probs[p]!;
        bound = Math.imul(range >>> 11, prob) >>> 0;
        if (code < bound) {
          range = bound;
          probs[p] = prob + ((2048 - prob) >>> 5);
          if (range < 0x100_0000) {
            range = (range << 8) >>> 0;
            code = ((code << 8) | input[at++]!) >>> 0;
          }
          p = IS_REP0_LONG + (state << 4) + posState;
          prob = probs[p]!;
          bound = Math.imul(range >>> 11, prob) >>> 0;
          if (code < bound) {
            range = bound;
            probs[p] = prob + ((2048 - prob) >>> 5);
            if (rep0 >= out - start) throw damaged(at, 'a match reaches before the beginning');
            output[out] = output[out - rep0 - 1]!;
            out++;
            state = state < 7 ? 9 : 11;
            continue;
          }
          range = (range - bound) >>> 0;
          code = (code - bound) >>> 0;
          probs[p] = prob - (prob >>> 5);
        } else {
          range = (range - bound) >>> 0;
          code = (code - bound) >>> 0;
          probs[p] = prob - (prob >>> 5);
          let distance = rep1;
          if (range < 0x100_0000) {
            range = (range << 8) >>> 0;
            code = ((code << 8) | input[at++]!) >>> 0;
          }
          p = IS_REP_G1 + state;
          prob = probs[p]!;
          bound = Math.imul(range >>> 11, prob) >>> 0;
          if (code < bound) {
            range = bound;
            probs[p] = prob + ((2048 - prob) >>> 5);
          } else {
            range = (range - bound) >>> 0;
            code = (code - bound) >>> 0;
            probs[p] = prob - (prob >>> 5);
            if (range < 0x100_0000) {
              range = (range << 8) >>> 0;
              code = ((code << 8) | input[at++]!) >>> 0;
            }
            p = IS_REP_G2 + state;
            prob = probs[p]!;
            bound = Math.imul(range >>> 11, prob) >>> 0;
            if (code < bound) {
              range = bound;
              probs[p] = prob + ((2048 - prob) >>> 5);
              distance = rep2;
            } else {
              range = (range - bound) >>> 0;
              code = (code - bound) >>> 0;
              probs[p] = prob - (prob >>> 5);
              distance = rep3;
              rep3 = rep2;
            }
            rep2 = rep1;
          }
          rep1 = rep0;
          rep0 = distance;
        }
        state = state < 7 ? 8 : 11;
      }

      // The length: a tree of 3 bits (twice) or 8, chosen by one or two bits.
      let tree = lengthCoder + (LEN_LOW - LEN_CHOICE) + (posState << 3);
      let top = 8;
      let length = 2 - 8;
      if (range < 0x100_0000) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | input[at++]!) >>> 0;
      }
      p = lengthCoder;
      prob = probs[p]!;
      bound = Math.imul(range >>> 11, prob) >>> 0;
      if (code < bound) {
        range = bound;
        probs[p] = prob + ((2048 - prob) >>> 5);
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probs[p] = prob - (prob >>> 5);
        if (range < 0x100_0000) {
          range = (range << 8) >>> 0;
          code = ((code << 8) | input[at++]!) >>> 0;
        }
        p = lengthCoder + 1;
        prob = probs[p]!;
        bound = Math.imul(range >>> 11, prob) >>> 0;
        if (code < bound) {
          range = bound;
          probs[p] = prob + ((2048 - prob) >>> 5);
          tree = lengthCoder + (LEN_MID - LEN_CHOICE) + (posState << 3);
          length = 10 - 8;
        } else {
          range = (range - bound) >>> 0;
          code = (code - bound) >>> 0;
          probs[p] = prob - (prob >>> 5);
          tree = lengthCoder + (LEN_HIGH - LEN_CHOICE);
          top = 256;
          length = 18 - 256;
        }
      }
      let symbol = 1;
      while (symbol < top) {
        if (range < 0x100_0000) {
          range = (range << 8) >>> 0;
          code = ((code << 8) | input[at++]!) >>> 0;
        }
        p = tree + symbol;
        prob = probs[p]!;
        bound = Math.imul(range >>> 11, prob) >>> 0;
        if (code < bound) {
          range = bound;
          probs[p] = prob + ((2048 - prob) >>> 5);
          symbol <<= 1;
        } else {
          range = (range - bound) >>> 0;
          code = (code - bound) >>> 0;
          probs[p] = prob - (prob >>> 5);
          symbol = (symbol << 1) | 1;
        }
      }
      length += symbol;

      if (isNew) {
        // The distance: 6 bits of slot, then bits from trees, or fixed-probability bits and an aligned tree.
        tree = POS_SLOT + ((length < 6 ? length - 2 : 3) << 6);
        symbol = 1;
        while (symbol < 64) {
          if (range < 0x100_0000) {
            range = (range << 8) >>> 0;
            code = ((code << 8) | input[at++]!) >>> 0;
          }
          p = tree + symbol;
          prob = probs[p]!;
          bound = Math.imul(range >>> 11, prob) >>> 0;
          if (code < bound) {
            range = bound;
            probs[p] = prob + ((2048 - prob) >>> 5);
            symbol <<= 1;
          } else {
            range = (range - bound) >>> 0;
            code = (code - bound) >>> 0;
            probs[p] = prob - (prob >>> 5);
            symbol = (symbol << 1) | 1;
          }
        }
        const slot = symbol - 64;
        if (slot < 4) {
          rep0 = slot;
        } else {
          let bits = (slot >>> 1) - 1;
          rep0 = (2 | (slot & 1)) << bits;
          if (slot < 14) {
            tree = POS_SPECIAL + rep0 - slot;
          } else {
            let direct = 0;
            for (let i = bits - 4; i > 0; i--) {
              if (range < 0x100_0000) {
                range = (range << 8) >>> 0;
                code = ((code << 8) | input[at++]!) >>> 0;
              }
              range >>>= 1;
              if (code >= range) {
                code = (code - range) >>> 0;
                direct = (direct << 1) | 1;
              } else direct <<= 1;
            }
            rep0 += direct << 4;
            tree = POS_ALIGN;
            bits = 4;
          }
          symbol = 1;
          for (let i = 0; i < bits; i++) {
            if (range < 0x100_0000) {
              range = (range << 8) >>> 0;
              code = ((code << 8) | input[at++]!) >>> 0;
            }
            p = tree + symbol;
            prob = probs[p]!;
            bound = Math.imul(range >>> 11, prob) >>> 0;
            if (code < bound) {
              range = bound;
              probs[p] = prob + ((2048 - prob) >>> 5);
              symbol <<= 1;
            } else {
              range = (range - bound) >>> 0;
              code = (code - bound) >>> 0;
              probs[p] = prob - (prob >>> 5);
              symbol = (symbol << 1) | 1;
              rep0 += 1 << i;
            }
          }
          rep0 >>>= 0;
        }
      }
      if (rep0 >= out - start) throw damaged(at, 'a match reaches before the beginning');
      const stop = out + length;
      if (stop > limit) throw damaged(at, 'a match reaches beyond its chunk');
      const from = out - rep0 - 1;
      if (length > 32 && rep0 >= length) {
        output.copyWithin(out, from, from + length);
        out = stop;
      } else {
        for (let source = from; out < stop; ) output[out++] = output[source++]!;
      }
    }
    if (range < 0x100_0000) at++;
    if (at !== end) throw damaged(at, 'a chunk does not end where it should');
    this.state = state;
    this.rep0 = rep0;
    this.rep1 = rep1;
    this.rep2 = rep2;
    this.rep3 = rep3;
  }
}
