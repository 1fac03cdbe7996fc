import { __HYPERVISOR_iret } from '@xenolith/xen-abi';

const SLOT = 32;

/** push %rcx; push %r11; mov $n,%eax; syscall; pop %r11; pop %rcx; ret */
const call = (n: number): number[] => [
  0x51,
  0x41,
  0x53,
  0xb8,
  n,
  0,
  0,
  0,
  0x0f,
  0x05,
  0x41,
  0x5b,
  0x59,
  0xc3,
];
/** iret does not come back, and takes a frame: push %rcx; push %r11; push %rax; mov $n,%eax; syscall */
const jump = (n: number): number[] => [0x51, 0x41, 0x53, 0x50, 0xb8, n, 0, 0, 0, 0x0f, 0x05];

/** Writes the 64-bit PV hypercall page: 32 bytes of code for each number, `int3` between them. */
export function fillHypercallPage(page: Uint8Array): void {
  page.fill(0xcc);
  for (let n = 0; n < page.length / SLOT; n++)
    page.set(n === __HYPERVISOR_iret ? jump(n) : call(n), n * SLOT);
}
