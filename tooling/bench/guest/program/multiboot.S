# For v86: a 32-bit ELF file with a multiboot header. Begins in flat 32-bit protected mode.
.section .text.start, "ax", @progbits
.balign 4
  .long 0x1badb002, 0, -0x1badb002
.globl _start
_start:
  movl $stack_top, %esp
  call run
1: cli
  hlt
  jmp 1b
.bss
.balign 16
  .space 16384
stack_top:
