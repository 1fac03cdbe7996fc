# Entries from Xen for several vCPUs, all in one form: registers that C may change are saved, a C function is called, and
# the iret hypercall goes back. Xen has pushed ss, rsp, rflags, cs, rip, (an error code,) r11, rcx.

.macro entry name, function
.globl \name
\name:
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
  call \function
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
  jmp return_to_guest
.endm

.text
entry smp_upcall, smp_events
entry smp_nmi, smp_nmi_arrived

# A page fault in one of the two probes: they answer -1. Any other one is a mistake of ours.
.globl smp_page_fault
smp_page_fault:
  popq %rcx
  popq %r11
  addq $8, %rsp
  pushq %rax
  leaq probe_load(%rip), %rax
  cmpq %rax, 8(%rsp)
  je 1f
  leaq probe_store(%rip), %rax
  cmpq %rax, 8(%rsp)
  je 1f
  ud2
1:leaq probe_failed(%rip), %rax
  movq %rax, 8(%rsp)
  popq %rax

# struct iret_context: rax, r11, rcx, flags, and the frame of a processor.
return_to_guest:
  pushq $0
  pushq %rcx
  pushq %r11
  pushq %rax
  movl $23, %eax
  syscall
  ud2

.globl probe_read
probe_read:
probe_load:
  movq (%rdi), %rax
  movq %rax, (%rsi)
  xorl %eax, %eax
  ret
.globl probe_write
probe_write:
probe_store:
  movq %rsi, (%rdi)
  xorl %eax, %eax
  ret
probe_failed:
  movl $-1, %eax
  ret
