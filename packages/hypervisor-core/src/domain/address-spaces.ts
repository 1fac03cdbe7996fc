import type { Processor } from '@xenolith/cpu-emulator';
import type { PvVcpu, TlbControl } from '../memory/interfaces.js';
import type { AsidSlot, Vcpu } from './vcpu.js';

/**
 * Address-space ids. A vCPU has one for its kernel's L4 table and one for its user's, so that a system call forgets
 * nothing; a load of CR3 takes a fresh one, so that old translations are out of reach. The processor counts its ids up and
 * starts again (forgetting everything) when they are used up: ids of an earlier round are worthless.
 */
export class AddressSpaces implements TlbControl {
  private round = 0;
  private lastId = -1;
  /** The vCPU whose tables are loaded. */
  current: Vcpu | undefined;
  /** The ids are used up, and the processor has forgotten every translation. */
  onNewRound: (() => void) | undefined;

  constructor(private readonly cpu: Processor) {}

  /** Loads the table of the vCPU's mode. */
  activate(vcpu: Vcpu): void {
    this.current = vcpu;
    this.load(vcpu, vcpu.kernelMode);
  }

  /** Runs `work` on the kernel's page tables whatever mode the vCPU is in. */
  withKernelTables<T>(vcpu: Vcpu, work: () => T): T {
    if (vcpu.kernelMode) return work();
    this.load(vcpu, true);
    try {
      return work();
    } finally {
      this.load(vcpu, false);
    }
  }

  baseChanged(vcpu: PvVcpu): void {
    const own = vcpu as Vcpu;
    own.kernelAsid.round = -1;
    if (own === this.current && own.kernelMode) this.load(own, true);
  }

  userBaseChanged(vcpu: PvVcpu): void {
    const own = vcpu as Vcpu;
    own.userAsid.round = -1;
    if (own === this.current && !own.kernelMode && own.guestTableUser !== 0) this.load(own, false);
  }

  flushPage(linear: bigint): void {
    this.cpu.flushPage(linear);
  }

  flushAll(): void {
    this.cpu.flushAll();
  }

  forgetWrites(mfn: number): void {
    this.cpu.forgetWrites(mfn);
  }

  codeWritten(address: number, length: number): void {
    this.cpu.codeWritten(address, length);
  }

  private load(vcpu: Vcpu, kernel: boolean): void {
    const slot = kernel ? vcpu.kernelAsid : vcpu.userAsid;
    if (slot.round !== this.round) this.assign(slot);
    this.cpu.switchAddressSpace(kernel ? vcpu.guestTable : vcpu.guestTableUser, slot.id);
  }

  private assign(slot: AsidSlot): void {
    const id = this.cpu.newAddressSpaceId();
    if (id <= this.lastId) {
      this.round++;
      this.onNewRound?.();
    }
    this.lastId = id;
    slot.id = id;
    slot.round = this.round;
  }
}
