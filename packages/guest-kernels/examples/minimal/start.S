# The notes by which Xen's tools know a guest (elfnote.h), and its first instructions.
.macro note type, value:vararg
  .balign 4
  .long 4, 2f - 1f, \type
  .asciz "Xen"
1: \value
2: .balign 4
.endm
.section .note.Xen, "a", @note
note 5, .asciz "xen-3.0" # XEN_VERSION: of the interface
note 8, .asciz "generic" # LOADER
note 3, .quad 0          # VIRT_BASE: where our memory is mapped
note 1, .quad _start     # ENTRY

.text
.globl _start
_start: # there is a stack; rsi is start_info
  movq %rsi, %rdi
  call start
  ud2
