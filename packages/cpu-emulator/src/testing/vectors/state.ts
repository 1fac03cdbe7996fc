/**
 * What one vector starts from, and what it leaves: registers and a window of memory, laid out as `struct state` of
 * tooling/vectors/harness.c, which also fixes the linear addresses.
 */
export const CODE_PAGES = 0x20000;
export const CODE_SIZE = 0x2000;
export const DATA_PAGES = 0x40000;
export const DATA_SIZE = 0x2000;
export const TAIL_SIZE = 256;
/** The window straddles the border between the two data pages. */
export const WINDOW = DATA_PAGES + 0x1000 - 192;
export const WINDOW_SIZE = 512;
/** Base of the GS segment. */
export const GS_BASE = 0x3000;
/** The data pages' last bytes, which are zero at first; behind them nothing is mapped. */
export const TAIL = DATA_PAGES + DATA_SIZE - TAIL_SIZE;
/** The window's first part is for data, the rest for the stack. */
export const STACK = WINDOW + 384;

const OFFSET = {
  code: 0,
  codeLength: 96,
  mode: 100,
  rip: 104,
  gpr: 112,
  rflags: 240,
  mxcsr: 248,
  vector: 252,
  error: 256,
  xmm: 264,
  memory: 520,
  x87: 520 + WINDOW_SIZE,
} as const;
/** Control, status and tag words and opcode (u16), instruction and operand (u64), then the physical registers, 16 bytes each. */
const X87_BYTES = 24 + 128;
export const STATE_BYTES = OFFSET.x87 + X87_BYTES;
/** From here to the XMM registers stands what is not compared bit by bit. */
export const RFLAGS_OFFSET = OFFSET.rflags;

export class VectorState {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  /** A state of its own, or one in `bytes`. */
  constructor(bytes?: Uint8Array) {
    this.bytes = bytes ?? new Uint8Array(STATE_BYTES);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, STATE_BYTES);
    if (!bytes) this.fcw = 0x37f;
  }

  copy(): VectorState {
    return new VectorState(this.bytes.slice());
  }

  get code(): Uint8Array {
    return this.bytes.subarray(OFFSET.code, OFFSET.code + this.view.getUint32(OFFSET.codeLength, true));
  }
  set code(code: Uint8Array) {
    this.bytes.set(code, OFFSET.code);
    this.view.setUint32(OFFSET.codeLength, code.length, true);
  }
  get mode(): 64 | 32 {
    return this.view.getUint32(OFFSET.mode, true) as 64 | 32;
  }
  set mode(mode: 64 | 32) {
    this.view.setUint32(OFFSET.mode, mode, true);
  }
  get rip(): number {
    return Number(this.view.getBigUint64(OFFSET.rip, true));
  }
  set rip(rip: number) {
    this.view.setBigUint64(OFFSET.rip, BigInt(rip), true);
  }
  gpr(n: number): bigint {
    return this.view.getBigUint64(OFFSET.gpr + 8 * n, true);
  }
  setGpr(n: number, v: bigint): void {
    this.view.setBigUint64(OFFSET.gpr + 8 * n, v, true);
  }
  get rflags(): number {
    return this.view.getUint32(OFFSET.rflags, true);
  }
  set rflags(v: number) {
    this.view.setUint32(OFFSET.rflags, v, true);
  }
  get mxcsr(): number {
    return this.view.getUint32(OFFSET.mxcsr, true);
  }
  set mxcsr(v: number) {
    this.view.setUint32(OFFSET.mxcsr, v, true);
  }
  /** 3 when the piece ran to its end, or the exception that it raised. */
  get vector(): number {
    return this.view.getUint32(OFFSET.vector, true);
  }
  set vector(v: number) {
    this.view.setUint32(OFFSET.vector, v, true);
  }
  /** The page fault's error code. */
  get error(): number {
    return this.view.getUint32(OFFSET.error, true);
  }
  set error(v: number) {
    this.view.setUint32(OFFSET.error, v, true);
  }
  get xmm(): Uint8Array {
    return this.bytes.subarray(OFFSET.xmm, OFFSET.xmm + 256);
  }
  get memory(): Uint8Array {
    return this.bytes.subarray(OFFSET.memory, OFFSET.memory + WINDOW_SIZE);
  }
  /** All of the x87 unit. */
  get x87(): Uint8Array {
    return this.bytes.subarray(OFFSET.x87, OFFSET.x87 + X87_BYTES);
  }
  get fcw(): number {
    return this.view.getUint16(OFFSET.x87, true);
  }
  set fcw(v: number) {
    this.view.setUint16(OFFSET.x87, v, true);
  }
  get fsw(): number {
    return this.view.getUint16(OFFSET.x87 + 2, true);
  }
  set fsw(v: number) {
    this.view.setUint16(OFFSET.x87 + 2, v, true);
  }
  /** A bit for each physical register that is in use. */
  get ftw(): number {
    return this.view.getUint16(OFFSET.x87 + 4, true);
  }
  set ftw(v: number) {
    this.view.setUint16(OFFSET.x87 + 4, v, true);
  }
  /** Physical register n, which MMn lies in: 10 bytes that count. */
  st(n: number): Uint8Array {
    return this.bytes.subarray(OFFSET.x87 + 24 + 16 * n, OFFSET.x87 + 24 + 16 * n + 10);
  }
}
