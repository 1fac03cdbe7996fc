# For a processor without anything around it: begins in 64-bit mode with memory mapped; ends by HLT.
.section .text.start, "ax", @progbits
.globl _start
_start:
  leaq stack_top(%rip), %rsp
  call run
  hlt
.bss
.balign 16
  .space 16384
stack_top:
