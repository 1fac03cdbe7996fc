/**
 * The processor as the hypervisor sees it. One physical processor; the hypervisor switches vCPUs by saving and loading
 * its state block. Guest-virtual addresses and registers are bigints (unsigned 64-bit), machine frames are numbers.
 */

/** Why `run` came back. */
export const Exit = {
  /** The budget is used up; exactly that many instructions retired. */
  budget: 0,
  /** An exception (fault or trap) is to be delivered: `vector`, `errorCode` (−1 none), `cr2` for #PF. Nothing of a faulting instruction is visible; rip is at it, and RF is set in rflags (faults), or behind it (traps: #BP, #OF, #DB; a #DB of an instruction breakpoint is a fault without RF). */
  exception: 1,
  /** INT n: `vector`; rip at the instruction, `length` its length. */
  softwareInterrupt: 2,
  /** SYSCALL: rip at the instruction, `length` its length (the hypervisor sets rcx, r11 and rip itself). */
  syscall: 3,
  /**
   * An instruction that CPL 3 may not execute (or that the hypervisor always sees): `privileged` says which and carries
   * its decoded operands; rip at the instruction, `length` its length. Nothing was changed but RF, which is set as in a fault.
   */
  privileged: 4,
  /** PAUSE executed 64 times within one run: a spinning guest; rip behind the last PAUSE. */
  pause: 5,
} as const;
export type ExitKind = (typeof Exit)[keyof typeof Exit];

/** Operations reported by `Exit.privileged`. */
export type PrivilegedInstruction =
  | { op: 'in' | 'out'; port: number; size: 1 | 2 | 4 }
  /** INS/OUTS, one element; `rep` when prefixed. The address is the linear address of the element. */
  | {
      op: 'ins' | 'outs';
      port: number;
      size: 1 | 2 | 4;
      rep: boolean;
      address: bigint;
      addressSize: 2 | 4 | 8;
    }
  | { op: 'rdmsr' | 'wrmsr'; index: number }
  | { op: 'cpuid' }
  | { op: 'rdpmc' }
  | {
      op:
        | 'hlt'
        | 'cli'
        | 'sti'
        | 'clts'
        | 'wbinvd'
        | 'invd'
        | 'swapgs'
        | 'sysret'
        | 'sysenter'
        | 'sysexit'
        | 'xsetbv'
        | 'vmcall';
    }
  | { op: 'monitor' | 'mwait' }
  /** MOV to and from control and debug registers; `gpr` 0–15. */
  | { op: 'readCr' | 'writeCr' | 'readDr' | 'writeDr'; register: number; gpr: number }
  | { op: 'lmsw'; value: number }
  | { op: 'invlpg' | 'lgdt' | 'lidt'; address: bigint }
  | { op: 'lldt' | 'ltr'; selector: number }
  /** A far transfer or selector load that needs descriptor tables: see `farTransfer`. */
  | {
      op: 'farJump' | 'farCall' | 'farReturn' | 'iret';
      operandSize: 2 | 4 | 8;
      selector: number;
      offset: bigint;
      pop: number;
    }
  /**
   * MOV to or POP of a segment register (0 ES 1 CS 2 SS 3 DS 4 FS 5 GS), or LDS and its like, with a selector that is not null;
   * the hypervisor loads the descriptor and steps over the instruction. `popped` bytes are to be added to rsp, and `loaded` is
   * the general register that LDS and its like load as well.
   */
  | {
      op: 'loadSegment';
      segment: number;
      selector: number;
      popped: number;
      loaded?: { gpr: number; value: bigint; operandSize: 2 | 4 | 8 };
    }
  /** Stores of the table registers (10 bytes in 64-bit code, 6 in 32-bit code), which are the hypervisor's. */
  | { op: 'sgdt' | 'sidt'; address: bigint }
  /** SLDT, STR, SMSW: to 16 bits of memory at `address`, or to a register of the operand size. */
  | {
      op: 'sldt' | 'str' | 'smsw';
      address: bigint | undefined;
      gpr: number;
      operandSize: 2 | 4 | 8;
    }
  /** LAR LSL VERR VERW: `selector`, destination gpr (LAR, LSL). */
  | { op: 'lar' | 'lsl' | 'verr' | 'verw'; selector: number; gpr: number; operandSize: 2 | 4 | 8 };

export type Segment = 0 | 1 | 2 | 3 | 4 | 5;

/** Typed views of the processor's state block. They stay valid for the processor's life: the memory never grows. */
export interface CpuRegisters {
  /** rax rcx rdx rbx rsp rbp rsi rdi r8…r15 */
  readonly gpr: BigUint64Array;
  rip: bigint;
  /** Architectural RFLAGS (bit 1 set); reading gathers the lazy flags, writing sets them all. */
  rflags: bigint;
  /** Segment selectors in the order ES CS SS DS FS GS. */
  readonly selectors: Uint16Array;
  fsBase: bigint;
  gsBase: bigint;
  /** Current privilege level 0 or 3. */
  cpl: number;
  /** true: 64-bit code segment (CS.L); false: 32-bit compatibility code. */
  long: boolean;
  /** XMM0–15, 16 bytes each. */
  readonly xmm: Uint8Array;
  mxcsr: number;
  /** Loads the x87 unit, MXCSR and XMM0–15 from the 512 bytes that FXSAVE writes; reserved bits are dropped. */
  loadFxImage(image: Uint8Array): void;
}

export interface Processor {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly regs: CpuRegisters;

  /** Runs at most `budget` (1 … 2^31−1) instructions. Afterwards `retired` says how many were retired. */
  run(budget: number): ExitKind;
  readonly retired: number;

  // The last exit's details; which are meaningful depends on its kind.
  readonly vector: number;
  /** −1: the exception has none. */
  readonly errorCode: number;
  readonly cr2: bigint;
  /** Of #DB: bits of DR6 that it sets (B0–B3, BS); none for INT1. */
  readonly debugStatus: number;
  readonly length: number;
  readonly privileged: PrivilegedInstruction;

  /** Makes `mfn` the current L4 table under a fresh address-space id (all its old translations are forgotten). */
  loadAddressSpace(mfn: number): number;
  /** Switches to an L4 table and the id that `loadAddressSpace` or `newAddressSpaceId` gave; nothing is forgotten. */
  switchAddressSpace(mfn: number, asid: number): void;
  newAddressSpaceId(): number;
  /** The domain whose frames translations may reach. */
  setDomain(domid: number): void;
  /** Forgets the translation of one page in all address spaces / every translation. */
  flushPage(linear: bigint): void;
  flushAll(): void;
  /** Forgets the translations for writing that lead to a frame, in all address spaces. */
  forgetWrites(mfn: number): void;

  /**
   * Linear to machine address under the current address space, as the guest itself at user access rights would see it;
   * refills the TLB and sets A/D. Returns −1 on a fault, then `cr2` and `errorCode` tell. `access`: 0 read, 1 write, 2 fetch.
   */
  translate(linear: bigint, access: 0 | 1 | 2): number;
  /** To be called after the hypervisor wrote machine memory [address, address + length) that might hold decoded code. */
  codeWritten(address: number, length: number): void;

  /**
   * Executes the one instruction at rip with all accesses to the page of `linear` going to the frame `scratch` instead.
   * False when it faulted or left the processor; nothing of it is visible then.
   */
  emulateWrite(linear: bigint, scratch: number): boolean;

  /**
   * Sets the breakpoints on code and data that DR0–DR3 (`addresses`) and DR7 (`control`) enable. While there are any,
   * instructions run one by one. Accesses of instructions that the hypervisor executes are not watched.
   */
  setBreakpoints(addresses: ArrayLike<bigint>, control: number): void;

  /** Asked by a refill for a frame that the current domain does not own and that is not public: may it be reached? */
  onForeignFrame: (mfn: number, write: boolean) => boolean;

  /** Bytes of one vCPU's state; `saveState` and `loadState` copy it (flags, segment state, SSE and x87 state included). */
  readonly stateSize: number;
  saveState(into: Uint8Array): void;
  loadState(from: Uint8Array): void;
  /** A vCPU's state as Xen's arch_set_info_guest leaves it before registers are set: all zero, MXCSR 0x1f80, FCW 0x37f. */
  resetState(): void;

  /** Time-stamp counter: value at the start of the next `run`; within it, it advances by one every retired instruction. */
  tsc: bigint;
  /** CR0.TS as seen by FPU instructions: when true they raise #NM. */
  taskSwitched: boolean;
  /** Fills RDRAND; must be set by the host. */
  onRandom: () => bigint;
  /** One instruction as text, AT&T or Intel: Intel. `undefined` bytes: "(bad)". */
  disassemble(bytes: Uint8Array, rip: bigint, mode: 64 | 32): { text: string; length: number };
}
