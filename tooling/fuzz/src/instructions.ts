import { ARENA_PAGES, address, number, type Operand, type Operation, run, store } from './program.js';
import type { Random } from './random.js';
import { anyAddress, anyNumber, anyWord, CODE_PAGES, playPage, wildAddress } from './values.js';

/** Instructions that trap, are emulated, or have often been handled wrongly; bytes in hexadecimal. */
const INSTRUCTIONS = list(`
  f4 fa fb 0f32 0f30 0f22c0 0f20c0 0f22d0 0f20d0 0f22d8 0f20d8 0f22e0 0f20e0 0f23c0 0f23f0 0f23f8 0f21c0 0f21f8
  ec ed ee ef 66ed 66ef 6c 6d 6e 6f f36c f36d f36e f36f e443 e643 0f0138 0f0110 0f0118 0f0100 0f0108 0f00d0 0f00d8
  0f00c0 0f00c8 0f01e0 0f01f0 0f08 0f09 0f06 0f01f8 0f01f9 0f33 0f01d0 0f01d1 f30faec0 f3480faec8 f3480faed0
  f3480faed8 0fa2 0f31 0f05 0f34 0f35 0f07 480f07 0f01c1 0f01d9 0f01c8 0f01c9 0f0b 0fff cc f1
  8ed8 8ec0 8ed0 8ee0 8ee8 0fb417 0fb517 0fa1 0fa9 0f02c0 480f03c0 0f00e0 0f00e8
  f7f0 48f7f8 d9e8 dbe3 0f77 0f2807 660f7f07 fd f0 f00f0b f00fa2 0f0b78656e0fa2 0f0b78656e0f32 f3aa f348ab
  f3a4 f3a6 0fae17 480fae07 480fae0f 0fae3f 0faee8 0fc7f0 0fc7f8 480fc70f 0f18 f390
  48b8ffffffffffffffff ffe0 48cd80 0f01ca 0f01cb 0f01f7 c4e2 8f 62 d6 0f0f 6689 674c a3 9bdbe2 0f22e8 440f22c0
`);
/** These leave the stack somewhere else: in kernel mode an exception is then often the guest's last. */
const DANGEROUS = list(
  'c9 c8001020 ffe4 e8fcffffff c2ffff cf 48cf 66cf cb 48cb ff2f 48ff2f ff1f 48ff1f 0fb217 9d 669d 5c 4894',
);

function list(text: string): string[] {
  return text.trim().split(/\s+/);
}

const CODE_AT = (ARENA_PAGES - CODE_PAGES) * 4096;
/** Frames for iret, and wild stacks, lie in the last page. */
const STACK_AT = (ARENA_PAGES - 1) * 4096;
const RAX = 0;
const RCX = 1;
const RSP = 4;
const RSI = 6;
const RDI = 7;
const RET = [0xc3];
const INT3 = [0xcc];
const SYSCALL = [0x0f, 0x05];

const bytesOf = (hex: string): number[] => (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));

/** Writes code into the arena, at a place of its own choice. */
function place(r: Random, code: readonly number[]): { write: Operation; at: Operand } {
  // Often over code that has run before, and now and then across two pages.
  const offset = r.oneIn(8) ? 4096 - 8 * (1 + r.below(2)) : r.below(32) * 64;
  const padded = [...code, ...new Array<number>((8 - (code.length % 8)) % 8).fill(0xcc)];
  const view = new DataView(Uint8Array.from(padded).buffer);
  const words = Array.from({ length: padded.length / 8 }, (_, i) => number(view.getBigUint64(i * 8, true)));
  return {
    write: store(address('arena', CODE_AT + offset), 8, ...words),
    at: address('arena', CODE_AT + offset),
  };
}

function anyRegisters(r: Random): [number, Operand][] {
  const registers: [number, Operand][] = [];
  for (let i = 0; i < 16; i++) if (i !== RSP && r.oneIn(2)) registers.push([i, anyWord(r)]);
  // Often something that makes sense: an MSR, a port, a selector, memory that is ours.
  if (r.oneIn(2)) {
    const msrs = [0x10, 0x1b, 0x8b, 0x174, 0x175, 0x176, 0x1a0, 0x277, 0xc0000080, 0xc0000081, 0xc0000082];
    registers.push([
      RCX,
      number(r.oneIn(2) ? r.pick(msrs) : r.below(2) ? 0xc000_0100 + r.below(8) : r.below(64)),
    ]);
  }
  if (r.oneIn(2))
    registers.push([2, number(r.pick([0x40, 0x43, 0x61, 0x70, 0x71, 0xcf8, 0xcfc, 0x3f8, 0xffff]))]);
  if (r.oneIn(2)) registers.push([RAX, selector(r)]);
  if (r.oneIn(2)) registers.push([RDI, address('arena', playPage(r) * 4096 + r.below(4096))]);
  if (r.oneIn(2)) registers.push([RSI, address('arena', playPage(r) * 4096 + r.below(4096))]);
  return registers;
}

const SELECTORS = [
  0, 3, 0x7, 0xf, 0xe023, 0xe02b, 0xe033, 0xe030, 0xe028, 0xe010, 0xe038, 0xe040, 0xe019, 0xffff,
];
const selector = (r: Random): Operand => number(r.oneIn(4) ? r.below(0x1_0000) : r.pick(SELECTORS));

type Code = (r: Random) => number[];
const interrupt: Code = (r) => [0xcd, r.below(256)];
const WITHOUT: readonly (readonly [number, Code])[] = [
  [15, (r) => bytesOf(r.pick(INSTRUCTIONS))],
  [1, interrupt],
];
const WITH_DANGER: readonly (readonly [number, Code])[] = [
  [8, (r) => bytesOf(r.pick(INSTRUCTIONS))],
  [1, interrupt],
  [4, (r) => bytesOf(r.pick(DANGEROUS))],
  [4, (r) => Array.from({ length: 1 + r.below(6) }, () => r.below(256))],
];

/** Instructions from the lists, or bytes of any kind. */
function anyCode(r: Random, isDangerous: boolean): number[] {
  const code: number[] = [];
  for (let n = 1 + r.below(3); n > 0; n--) {
    if (r.oneIn(8)) code.push(...[0x66, 0x67, 0x48, 0xf0, 0xf2, 0xf3, 0x64, 0x65].filter(() => r.oneIn(4)));
    code.push(...r.weighted(isDangerous ? WITH_DANGER : WITHOUT)(r));
  }
  return code;
}

/** Instructions in kernel mode, with registers of any kind. */
export function instructions(r: Random): Operation[] {
  const { write, at } = place(r, [...anyCode(r, r.oneIn(40)), ...(r.oneIn(2) ? RET : INT3)]);
  return [write, run(at, anyRegisters(r))];
}

/** An exception, or a hypercall, on a stack that is hardly one. */
export function wildStack(r: Random): Operation[] {
  const { write, at } = place(r, [
    ...(r.oneIn(4) ? SYSCALL : []),
    ...bytesOf(r.pick(['0f0b', 'cc', '8b00', 'f7f0', 'cd81'])),
  ]);
  // `run` itself pushes two words there.
  const stack = r.oneIn(8)
    ? wildAddress(r)
    : address('arena', STACK_AT + r.pick([1024, 1025, 1032, 64, 40, 16, 4096, 4095]));
  return [
    write,
    run(at, [
      [RAX, number(r.below(40))],
      [RSP, stack],
    ]),
  ];
}

/** A return by the hypercall iret: into user mode, to nowhere, with any flags. */
export function returnAnywhere(r: Random): Operation[] {
  // An exception in kernel mode is put on the stack that it had.
  const deadly = r.oneIn(24);
  const toUser = !r.oneIn(3);
  const target = place(r, [...anyCode(r, toUser), ...INT3]);
  const { write, at } = place(r, [...SYSCALL, ...INT3]);
  const flags = r.pick([0x202, 0x2, 0x3202, 0x302, 0x4202, 0x1_0202, 0x2_0202, 0x4_0202, 0x20_0202, -1]);
  const frame = [
    anyWord(r), // rax
    number(0x202), // r11
    target.at, // rcx: where SYSRET goes
    number(r.oneIn(2) ? 0 : r.oneIn(2) ? 0x100 : anyNumber(r)),
    r.oneIn(6) ? anyAddress(r) : target.at,
    toUser ? number(r.oneIn(6) ? 0xe023 : 0xe033) : deadly ? selector(r) : number(0xe030),
    number(r.oneIn(8) ? anyNumber(r) : BigInt.asUintN(64, BigInt(flags))),
    toUser && r.oneIn(3) ? anyAddress(r) : deadly ? anyAddress(r) : address('arena', STACK_AT + 2048),
    r.oneIn(4) ? selector(r) : number(r.pick([0xe02b, 0xe02b, 0xe028, 0])),
  ];
  // The return address that `run` pushes is the frame's first word.
  return [
    target.write,
    write,
    store(address('arena', STACK_AT + 1024), 8, ...frame),
    run(at, [
      [RAX, number(23)],
      [RSP, deadly ? anyAddress(r) : address('arena', STACK_AT + 1024 + 8)],
    ]),
  ];
}
