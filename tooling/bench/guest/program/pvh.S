# For QEMU's -kernel: a 64-bit ELF file with a PVH entry (XEN_ELFNOTE_PHYS32_ENTRY). Begins in flat 32-bit protected
# mode; maps the first GiB by large pages, enters 64-bit mode, and ends by the isa-debug-exit device at port 0xf4.
.section .note.Xen, "a", @note
  .balign 4
  .long 4, 8, 18
  .asciz "Xen"
  .quad _start

.section .text.start, "ax", @progbits
.code32
.globl _start
_start:
  movl $pdpt + 7, pml4
  movl $pd + 7, pdpt
  movl $pd, %edi
  movl $0x87, %eax
1: movl %eax, (%edi)
  addl $0x200000, %eax
  addl $8, %edi
  cmpl $pd + 4096, %edi
  jb 1b
  movl $pml4, %eax
  movl %eax, %cr3
  movl $0x20, %eax        # PAE
  movl %eax, %cr4
  movl $0xc0000080, %ecx  # EFER.LME
  movl $0x100, %eax
  xorl %edx, %edx
  wrmsr
  movl $0x80000001, %eax  # PG, PE
  movl %eax, %cr0
  lgdt gdt_pointer
  ljmp $8, $long_mode
.code64
long_mode:
  xorl %eax, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  leaq stack_top(%rip), %rsp
  call run
  movl $0, %eax
  outl %eax, $0xf4
1: hlt
  jmp 1b

.section .rodata
.balign 8
gdt: .quad 0, 0x00209a0000000000
gdt_pointer: .word . - gdt - 1
  .long gdt
.bss
.balign 4096
pml4: .space 4096
pdpt: .space 4096
pd: .space 4096
  .space 16384
stack_top:
