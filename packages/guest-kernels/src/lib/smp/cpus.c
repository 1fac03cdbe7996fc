#include "smp.h"
#include "../hypercall.h"

/* vcpu.h, event_channel.h, arch-x86/xen.h, arch-x86/xen-x86_64.h */
enum { VCPUOP_initialise = 0, VCPUOP_up = 1, VCPUOP_is_up = 3 };
enum { EVTCHNOP_bind_ipi = 7 };
enum { VGCF_in_kernel = 1 << 2 };
enum { SEGBASE_GS_KERNEL = 2 };
enum { FLAT_KERNEL_CS = 0xe033, FLAT_KERNEL_SS = 0xe02b };
enum { NMI = 2, PAGE_FAULT = 14 };

struct trap_info { u8 vector, flags; u16 cs; u64 address; };
struct cpu_user_regs {
  u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  u32 error_code, entry_vector;
  u64 rip;
  u16 cs, pad0;
  u8 saved_upcall_mask, pad1[3];
  u64 rflags, rsp, ss, es, ds, fs, gs;
};
struct vcpu_guest_context {
  u8 fpu_ctxt[512];
  u64 flags;
  struct cpu_user_regs user_regs;
  struct trap_info trap_ctxt[256];
  u64 ldt_base, ldt_ents, gdt_frames[16], gdt_ents, kernel_ss, kernel_sp, ctrlreg[8], debugreg[8];
  u64 event_callback_eip, failsafe_callback_eip, syscall_callback_eip, vm_assist;
  u64 fs_base, gs_base_kernel, gs_base_user;
};
_Static_assert(sizeof(struct vcpu_guest_context) == 5168, "vcpu_guest_context");
struct evtchn_bind_ipi { u32 vcpu, port; };

void smp_upcall(void);
void smp_nmi(void);
void smp_page_fault(void);
void failsafe_callback(void);

void (*event_handler)(u32 port);
void (*nmi_handler)(void);

/* GS of each vCPU points to its own. */
static struct cpu {
  u32 id;
  /* Ports below 64 that are bound to it. */
  u64 ports;
} cpus[MAX_CPUS];
static u8 stacks[MAX_CPUS][4 * PAGE_SIZE] __attribute__((aligned(16)));

u32 cpu_id(void) {
  u32 id;
  __asm__ volatile("movl %%gs:0, %0" : "=r"(id));
  return id;
}

u64 frame_of(const void *page) {
  return ((const u64 *)start_info->mfn_list)[(ADDRESS(page) - VIRT_BASE) / PAGE_SIZE];
}

u32 smp_init(void) {
  static const struct trap_info traps[] = {
      {NMI, 0, FLAT_KERNEL_CS, ADDRESS(smp_nmi)}, {PAGE_FAULT, 0, FLAT_KERNEL_CS, ADDRESS(smp_page_fault)}, {0, 0, 0, 0}};
  hypercall2(HC_set_segment_base, SEGBASE_GS_KERNEL, ADDRESS(&cpus[0]));
  hypercall3(HC_set_callbacks, ADDRESS(smp_upcall), ADDRESS(failsafe_callback), 0);
  hypercall1(HC_set_trap_table, ADDRESS(traps));
  u32 count = 0;
  while (count < MAX_CPUS && hypercall3(HC_vcpu_op, VCPUOP_is_up, count, 0) >= 0) cpus[count].id = count, count++;
  /* What nobody else takes is vCPU 0's: console and xenstore. */
  cpus[0].ports = ~0ul;
  return count;
}

s64 cpu_start(u32 cpu, void (*entry)(void)) {
  struct vcpu_guest_context context;
  memset(&context, 0, sizeof context);
  u64 top = ADDRESS(stacks[cpu] + sizeof stacks[cpu]);
  context.flags = VGCF_in_kernel;
  context.user_regs.rip = ADDRESS(entry);
  /* As if it had been called: the ABI wants rsp + 8 to be a multiple of 16. */
  context.user_regs.rsp = top - 8;
  context.user_regs.rflags = 0x200;
  context.user_regs.cs = FLAT_KERNEL_CS;
  context.user_regs.ss = FLAT_KERNEL_SS;
  context.kernel_ss = FLAT_KERNEL_SS;
  context.kernel_sp = top;
  /* The page tables are vCPU 0's. */
  context.ctrlreg[3] = frame_of((void *)start_info->pt_base) << 12;
  context.trap_ctxt[NMI] = (struct trap_info){NMI, 0, FLAT_KERNEL_CS, ADDRESS(smp_nmi)};
  context.trap_ctxt[PAGE_FAULT] = (struct trap_info){PAGE_FAULT, 0, FLAT_KERNEL_CS, ADDRESS(smp_page_fault)};
  context.event_callback_eip = ADDRESS(smp_upcall);
  context.failsafe_callback_eip = ADDRESS(failsafe_callback);
  context.gs_base_kernel = ADDRESS(&cpus[cpu]);
  s64 error = hypercall3(HC_vcpu_op, VCPUOP_initialise, cpu, ADDRESS(&context));
  return error ? error : hypercall3(HC_vcpu_op, VCPUOP_up, cpu, 0);
}

void cpu_wait(void) {
  hypercall2(HC_sched_op, SCHEDOP_block, 0);
  cpu_interruptible(0);
}

/* What came while events were masked is not announced again: smp_events looks itself. */
void smp_events(void);
void cpu_interruptible(int on) {
  struct vcpu_info *vcpu = &shared_info->vcpu_info[cpu_id()];
  barrier();
  WRITE_ONCE(vcpu->evtchn_upcall_mask, !on);
  barrier();
  if (!on || !READ_ONCE(vcpu->evtchn_upcall_pending)) return;
  WRITE_ONCE(vcpu->evtchn_upcall_mask, 1);
  smp_events();
  cpu_interruptible(1);
}

u32 ipi_bind(u32 cpu) {
  struct evtchn_bind_ipi op = {cpu, 0};
  hypercall2(HC_event_channel_op, EVTCHNOP_bind_ipi, ADDRESS(&op));
  if (cpu != 0) cpus[0].ports &= ~(1ul << op.port);
  cpus[cpu].ports |= 1ul << op.port;
  return op.port;
}

/* The selector is each vCPU's, but a word of pending bits is everybody's: each takes its own. */
void smp_events(void) {
  struct cpu *cpu = &cpus[cpu_id()];
  struct vcpu_info *vcpu = &shared_info->vcpu_info[cpu->id];
  WRITE_ONCE(vcpu->evtchn_upcall_pending, 0);
  __atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
  u64 mine = __atomic_fetch_and(&shared_info->evtchn_pending[0], ~cpu->ports, __ATOMIC_SEQ_CST) & cpu->ports;
  for (; mine && event_handler; mine &= mine - 1) event_handler((u32)__builtin_ctzl(mine));
}

void smp_nmi_arrived(void) {
  if (nmi_handler) nmi_handler();
}

void lock(struct ticket_lock *lock) {
  u32 mine = __atomic_fetch_add(&lock->next, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != mine) cpu_relax();
}

void unlock(struct ticket_lock *lock) { __atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE); }
