import { Exit } from '@xenolith/cpu-emulator';
import { FLAT_KERNEL_CS64 } from '@xenolith/xen-abi';
import { expect, it } from 'vitest';
import { GPR, VECTOR } from '../arch/x86.js';
import { testHost } from '../testing/test-host.js';

it.each([
  ['#MF', VECTOR.x87],
  ['#XM', VECTOR.simd],
])(
  '%s reaches the guest as its vector, in front of the instruction and without an error code',
  (_name, vector) => {
    const host = testHost();
    host.enter();
    const { regs } = host.cpu;
    host.vcpu.traps.set(vector, 0x5000n, FLAT_KERNEL_CS64, 0);
    regs.rip = 0x40_1234n;
    const stack = regs.gpr[GPR.rsp]! & ~15n;
    Object.assign(host.cpu, { vector, errorCode: -1 });
    host.hv.handle(Exit.exception);
    expect(regs.rip).toBe(0x5000n);
    // RCX, R11, RIP, CS, RFLAGS, RSP, SS.
    expect(stack - regs.gpr[GPR.rsp]!).toBe(56n);
    const frame = host.hv.access.copyFrom(regs.gpr[GPR.rsp]!, 56)!;
    expect(new DataView(frame.buffer, frame.byteOffset).getBigUint64(16, true)).toBe(0x40_1234n);
  },
);
