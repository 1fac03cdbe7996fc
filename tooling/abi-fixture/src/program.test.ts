import { x86_32, x86_64 } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { program } from './program.js';

/** The questions in the program's table, in order. */
function questions(source: string): string[] {
  const table = source.slice(source.indexOf('probes[] = {'));
  return [...table.matchAll(/\(long long\)\((.*)\),$/gm)].map((match) => match[1] ?? '');
}

describe('program', () => {
  it('asks for sizes, offsets, signs and constants by their names in C', () => {
    const asked = questions(program(x86_64).source);
    expect(asked).toContain('sizeof(struct vcpu_info)');
    expect(asked).toContain('offsetof(struct start_info, console.domU.mfn)');
    expect(asked).toContain('sizeof(((struct trap_info *)0)->address)');
    expect(asked).toContain('offsetof(struct probe_sring, ring)');
    expect(asked).toContain('XEN_EINVAL');
    expect(asked).toContain('GNTST_bad_page');
  });

  it('asks a 32-bit compiler only about what 32-bit guests have', () => {
    const asked = questions(program(x86_32).source);
    expect(asked).toContain('offsetof(struct cpu_user_regs, eflags)');
    expect(asked).not.toContain('offsetof(struct cpu_user_regs, rflags)');
    expect(asked).not.toContain('offsetof(struct shared_info, wc_sec_hi)');
  });

  it('puts the answers where the questions came from', () => {
    const { source, read } = program(x86_64);
    const asked = questions(source);
    const answers = new DataView(new ArrayBuffer(asked.length * 8));
    const answer = (question: string, value: bigint) =>
      answers.setBigInt64(asked.indexOf(question) * 8, value, true);
    answer('sizeof(struct vcpu_info)', 64n);
    answer('offsetof(struct vcpu_info, time)', 32n);
    answer('HYPERVISOR_VIRT_START', -0x8000_0000_0000n);
    answer('GNTST_bad_page', -9n);
    const { layouts, constants } = read(answers);
    expect(layouts.VcpuInfo?.size).toBe(64);
    expect(layouts.VcpuInfo?.fields.time?.offset).toBe(32);
    expect(constants?.HYPERVISOR_VIRT_START).toBe(String(0xffff_8000_0000_0000n));
    expect(constants?.GNTST_bad_page).toBe('-9');
  });
});
