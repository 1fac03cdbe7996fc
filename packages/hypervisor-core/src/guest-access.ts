import type { Processor } from '@xenolith/cpu-emulator';
import type { Layout } from '@xenolith/xen-abi';
import { isGuestAddress } from './arch/x86.js';
import type { GuestAccess } from './memory/interfaces.js';

const PAGE_MASK = 0xfffn;
const FAULT = -1;
/** What is copied byte by byte, which is quicker than to make views of it. */
const isSmall = (length: number): boolean => length > 0 && length <= 128;

/**
 * The running vCPU's memory, through the page tables that are loaded. A failed access may change the processor's `cr2` and
 * `errorCode`: copy those of an exit first.
 */
export class CurrentGuestAccess implements GuestAccess {
  constructor(private readonly cpu: Processor) {}

  copyFrom(address: bigint, length: number): Uint8Array | undefined {
    const out = new Uint8Array(length);
    return this.copyInto(address, out) ? out : undefined;
  }

  copyInto(address: bigint, into: Uint8Array): boolean {
    const { bytes } = this.cpu;
    const { length } = into;
    if (isSmall(length) && Number(address & PAGE_MASK) + length <= 4096) {
      const machine = this.machineAddress(address, 0);
      if (machine < 0) return false;
      for (let i = 0; i < length; i++) into[i] = bytes[machine + i]!;
      return true;
    }
    for (let done = 0; done < length; ) {
      const linear = BigInt.asUintN(64, address + BigInt(done));
      const part = Math.min(length - done, 4096 - Number(linear & PAGE_MASK));
      const machine = this.machineAddress(linear, 0);
      if (machine < 0) return false;
      into.set(bytes.subarray(machine, machine + part), done);
      done += part;
    }
    return true;
  }

  copyTo(address: bigint, bytes: Uint8Array): boolean {
    const { length } = bytes;
    if (isSmall(length) && Number(address & PAGE_MASK) + length <= 4096) {
      const machine = this.machineAddress(address, 1);
      if (machine < 0) return false;
      const to = this.cpu.bytes;
      for (let i = 0; i < length; i++) to[machine + i] = bytes[i]!;
      this.cpu.codeWritten(machine, length);
      return true;
    }
    let done = 0;
    while (done < bytes.length) {
      const linear = BigInt.asUintN(64, address + BigInt(done));
      const part = Math.min(bytes.length - done, 4096 - Number(linear & PAGE_MASK));
      const machine = this.machineAddress(linear, 1);
      if (machine < 0) return false;
      this.cpu.bytes.set(bytes.subarray(done, done + part), machine);
      this.cpu.codeWritten(machine, part);
      done += part;
    }
    return true;
  }

  /** Machine address of one byte, or −1 when the guest may not reach it. `access`: 0 read, 1 write. */
  machineAddress(linear: bigint, access: 0 | 1): number {
    return isGuestAddress(linear) ? this.cpu.translate(linear, access) : FAULT;
  }

  readU32(address: bigint): number | undefined {
    return this.read(address, 4)?.getUint32(0, true);
  }

  readU64(address: bigint): bigint | undefined {
    if ((address & PAGE_MASK) <= 4088n) {
      const machine = this.machineAddress(address, 0);
      return machine < 0 ? undefined : this.cpu.view.getBigUint64(machine, true);
    }
    return this.read(address, 8)?.getBigUint64(0, true);
  }

  /** A copy of `length` bytes as a view, or undefined (EFAULT). */
  read(address: bigint, length: number): DataView | undefined {
    const bytes = this.copyFrom(address, length);
    return bytes && new DataView(bytes.buffer);
  }

  /** A private copy of a struct: copied once, then validated, then used. undefined: EFAULT. */
  readStruct<F>(layout: Layout<F>, address: bigint): ReturnType<Layout<F>['at']> | undefined {
    const view = this.read(address, layout.size);
    return view && layout.at(view);
  }

  writeU32(address: bigint, value: number): boolean {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.copyTo(address, bytes);
  }

  writeU64(address: bigint, value: bigint): boolean {
    if ((address & PAGE_MASK) <= 4088n) {
      const machine = this.machineAddress(address, 1);
      if (machine < 0) return false;
      this.cpu.view.setBigUint64(machine, value, true);
      this.cpu.codeWritten(machine, 8);
      return true;
    }
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return this.copyTo(address, bytes);
  }

  /** A range that lies outside Xen's area, without touching it (Xen's guest_handle_okay). */
  inRange(address: bigint, length: number): boolean {
    return (
      isGuestAddress(address) &&
      isGuestAddress(BigInt.asUintN(64, address + BigInt(Math.max(length, 1)) - 1n))
    );
  }
}
