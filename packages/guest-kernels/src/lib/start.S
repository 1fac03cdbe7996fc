# ELF notes, the first instructions, and the entry for events.

#define VIRT_BASE 0xffffffff80000000

# One note: its name is always "Xen".
.macro note type:req, data:vararg
  .balign 4
  .long 4, 2f - 1f, \type
  .asciz "Xen"
1: \data
2: .balign 4
.endm

.section .note.Xen, "a", @note
note 6,  .asciz "xenolith"         # GUEST_OS
note 7,  .asciz "1"                # GUEST_VERSION
note 5,  .asciz "xen-3.0"          # XEN_VERSION: the interface's, not the hypervisor's
note 1,  .quad _start              # ENTRY
note 3,  .quad VIRT_BASE           # VIRT_BASE: where pseudo-physical 0 is mapped
note 4,  .quad 0                   # PADDR_OFFSET
note 8,  .asciz "generic"          # LOADER
note 9,  .asciz "yes"              # PAE_MODE
note 10, .asciz "pae_pgdir_above_4gb" # FEATURES

# rsi: start_info. Events are masked, the page tables are live, the segments are flat.
.section .text.start, "ax", @progbits
.globl _start
_start:
  cld
  leaq stack_top(%rip), %rsp
  xorl %ebp, %ebp
  movq %rsi, %rdi
  call guest_start
  ud2

# Xen has pushed ss, rsp, rflags, cs, rip, r11, rcx and set the upcall mask. The iret hypercall puts the mask back to
# the inverse of the saved IF, and looks for new events, in one step.
.text
.globl event_upcall
event_upcall:
  popq %rcx
  popq %r11
  pushq %rax
  pushq %rcx
  pushq %rdx
  pushq %rsi
  pushq %rdi
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  pushq %rbp
  movq %rsp, %rbp
  andq $-16, %rsp
  cld
  call handle_events
  movq %rbp, %rsp
  popq %rbp
  popq %r11
  popq %r10
  popq %r9
  popq %r8
  popq %rdi
  popq %rsi
  popq %rdx
  popq %rcx
  popq %rax
  pushq $0
  pushq %rcx
  pushq %r11
  pushq %rax
  movl $23, %eax
  syscall
  ud2

# Xen could not return to us because a segment was bad: we never load one.
.globl failsafe_callback
failsafe_callback:
  ud2

.bss
.balign 4096
stack:
  .space 32768
stack_top:
