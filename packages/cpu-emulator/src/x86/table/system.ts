import { i32, i64 } from '@xenolith/wasm-builder';
import { ENGINE } from '../../core/record.js';
import { type Row, row } from '../row.js';
import type { Context } from '../semantics.js';
import { REG, STATE } from '../state.js';

const nothing = (): void => {};
/** Always handed to the hypervisor: the processor wrapper decodes the instruction again and says what it is. */
const exits = (cx: Context): void => cx.site.exit();

/** RDTSC: the run's start plus what retired since, both in nanoseconds at one instruction each. */
const rdtsc = (cx: Context): void => {
  const now = cx.f.let(i64.add(i64.load(i32.const(ENGINE.tsc)), i64.extend_u(cx.retired())));
  cx.setGpr(REG.rax, now, 4);
  cx.setGpr(REG.rdx, i64.shr_u(now, i64.const(32)), 4);
};

export const system: Row[] = [
  row(
    'nop',
    ['90', '0f 1f Ev', '0f 19 Ev', '0f 1a Ev', '0f 1b Ev', '0f 1c Ev', '0f 1d Ev', '0f 1e Ev'],
    nothing,
    { addressOnly: true },
  ),
  row('prefetch', ['0f 18 Ev', '0f 0dm Ev'], nothing, { addressOnly: true }),
  row('fence', ['0f ae/5r', '0f ae/6r', '0f ae/7r'], nothing),
  row('clflush', ['0f ae/7m Mb', '66 0f ae/7m Mb', '66 0f ae/6m Mb'], (cx) => void cx.read(0)),
  row('pause', ['f3 90'], (cx) => {
    const left = cx.f.let(i32.sub(i32.load(i32.const(ENGINE.pauses)), i32.const(1)));
    cx.f.store(i32.const(ENGINE.pauses), 0, left);
    cx.f.if(i32.eqz(left), () => cx.site.exitAfter());
  }),
  row('rdtsc', ['0f 31'], rdtsc),
  row('rdtscp', ['0f 01=f9'], (cx) => {
    rdtsc(cx);
    cx.setGpr(REG.rcx, i64.const(0), 4);
  }),
  row('syscall', ['0f 05'], (cx) => cx.site.syscall(), { ends: true }),
  row('int1', ['f1'], exits, { ends: true }),
  row('int3', ['cc'], exits, { ends: true }),
  row('int', ['cd Ib'], exits, { ends: true }),
  row('into', ['ce'], exits, { ends: true, mode: 32 }),
  row('ud2', ['0f 0b'], exits, { ends: true }),
  row('hlt', ['f4'], exits, { ends: true }),
  row('cli', ['fa'], exits, { ends: true }),
  row('sti', ['fb'], exits, { ends: true }),
  row('clts', ['0f 06'], exits, { ends: true }),
  row('invd', ['0f 08'], exits, { ends: true }),
  row('wbinvd', ['0f 09'], exits, { ends: true }),
  row('wrmsr', ['0f 30'], exits, { ends: true }),
  row('rdmsr', ['0f 32'], exits, { ends: true }),
  row('rdpmc', ['0f 33'], exits, { ends: true }),
  row('sysenter', ['0f 34'], exits, { ends: true }),
  row('sysexit', ['0f 35'], exits, { ends: true }),
  row('sysret', ['0f 07'], exits, { ends: true }),
  row('cpuid', ['0f a2'], exits, { ends: true }),
  row('swapgs', ['0f 01=f8'], exits, { ends: true }),
  row('xgetbv', ['0f 01=d0'], (cx) => cx.raise(6)),
  row('xsetbv', ['0f 01=d1'], exits, { ends: true }),
  row('vmcall', ['0f 01=c1', '0f 01=d9'], exits, { ends: true }),
  row('monitor', ['0f 01=c8'], exits, { ends: true }),
  row('mwait', ['0f 01=c9'], exits, { ends: true }),
  row('lgdt', ['0f 01/2m M'], exits, { ends: true, addressOnly: true }),
  row('lidt', ['0f 01/3m M'], exits, { ends: true, addressOnly: true }),
  row('lmsw', ['0f 01/6 Ew'], exits, { ends: true }),
  row('invlpg', ['0f 01/7m M'], exits, { ends: true, addressOnly: true }),
  row('lldt', ['0f 00/2 Ew'], exits, { ends: true }),
  row('ltr', ['0f 00/3 Ew'], exits, { ends: true }),
  row('verr', ['0f 00/4 Ew'], exits, { ends: true }),
  row('verw', ['0f 00/5 Ew'], exits, { ends: true }),
  row('lar', ['0f 02 Gv,Ew'], exits, { ends: true }),
  row('lsl', ['0f 03 Gv,Ew'], exits, { ends: true }),
  row('mov', ['0f 20 Rq,S', '0f 21 Rq,S', '0f 22 Rq,S', '0f 23 Rq,S'], exits, { ends: true }),
  row('in', ['e4 Ib', 'e5 Ib', 'ec', 'ed'], exits, { ends: true }),
  row('out', ['e6 Ib', 'e7 Ib', 'ee', 'ef'], exits, { ends: true }),
  row('ins', ['6c Xb', '6d Xv'], exits, { ends: true, rep: 'rep' }),
  row('outs', ['6e Xb', '6f Xv'], exits, { ends: true, rep: 'rep' }),
  row('jmp', ['ff/5m M'], exits, { ends: true }),
  row('call', ['ff/3m M'], exits, { ends: true }),
  row('jmp', ['ea F'], exits, { ends: true, mode: 32 }),
  row('call', ['9a F'], exits, { ends: true, mode: 32 }),
  row('mov', ['8e S,Ew'], exits, { ends: true }),
  row('pop', ['0f a1', '0f a9'], exits, { ends: true, default64: true }),
  row('pop', ['07', '17', '1f'], exits, { ends: true, default64: true, mode: 32 }),
  row('les', ['c4m Gv,M'], exits, { ends: true, mode: 32 }),
  row('lds', ['c5m Gv,M'], exits, { ends: true, mode: 32 }),
  row('lss', ['0f b2m Gv,M'], exits, { ends: true }),
  row('lfs', ['0f b4m Gv,M'], exits, { ends: true }),
  row('lgs', ['0f b5m Gv,M'], exits, { ends: true }),
  row('sgdt', ['0f 01/0m M'], exits, { ends: true, addressOnly: true }),
  row('sidt', ['0f 01/1m M'], exits, { ends: true, addressOnly: true }),
  row('sldt', ['0f 00/0r Rv', '0f 00/0 Mw'], exits, { ends: true }),
  row('str', ['0f 00/1r Rv', '0f 00/1 Mw'], exits, { ends: true }),
  row('smsw', ['0f 01/4r Rv', '0f 01/4 Mw'], exits, { ends: true }),
  row('fsgsbase', ['f3 0f ae/0r Ry', 'f3 0f ae/1r Ry', 'f3 0f ae/2r Ry', 'f3 0f ae/3r Ry'], (cx) =>
    cx.raise(6),
  ),
  row('rdrand', ['0f c7/6r Rv', '0f c7/7r Rv'], exits, { ends: true }),
  row(
    'ldmxcsr',
    ['np 0f ae/2m Md'],
    (cx) => {
      const v = cx.read(0);
      cx.f.if(i64.ne(i64.and(v, i64.const(0xffff0000)), i64.const(0)), () => cx.raise(13, 0));
      cx.f.store64(i32.const(STATE.mxcsr), 0, v, 4);
    },
    { fpu: true },
  ),
  row('stmxcsr', ['np 0f ae/3m Md'], (cx) => cx.write(0, cx.f.let(i64.load32_u(i32.const(STATE.mxcsr)))), {
    fpu: true,
  }),
];
