import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bench = fileURLToPath(new URL('..', import.meta.url));
const source = (/** @type {string} */ name) => join(bench, 'guest/program', name);
const kernels = join(bench, 'kernels/kern.c');

/** The same for every target, so that engines run the same work. */
const common = ['-O2', '-fno-stack-protector', '-fcf-protection=none', '-fno-pie', '-w'];
const bare = ['-ffreestanding', '-mno-red-zone', '-mgeneral-regs-only', '-fno-asynchronous-unwind-tables'];

/**
 * What the benchmark program can be built for.
 * @type {Record<'flat' | 'multiboot' | 'pvh', { target: string, start: string, base: number }>}
 */
const targets = {
  flat: { target: 'x86_64-unknown-none-elf', start: 'flat.S', base: 0x10000 },
  pvh: { target: 'x86_64-unknown-none-elf', start: 'pvh.S', base: 0x100000 },
  multiboot: { target: 'i386-unknown-none-elf', start: 'multiboot.S', base: 0x100000 },
};

/** @param {string} program */
export const isInstalled = (program) => spawnSync(program, ['--version']).status === 0;

/**
 * Builds the program for an emulator. Needs clang and ld.lld.
 * @param {keyof typeof targets} kind @param {string} directory @param {number} repetitions
 * @returns {string} the ELF file
 */
export function buildBare(kind, directory, repetitions) {
  const { target, start, base } = targets[kind];
  const objects = [source(start), source('program.c'), source('serial.c'), kernels].map((file, i) => {
    const object = join(directory, `${kind}-${i}.o`);
    const options = [`--target=${target}`, ...common, ...bare, `-DREPETITIONS=${repetitions}`];
    execFileSync('clang', [...options, '-c', file, '-o', object]);
    return object;
  });
  const elf = join(directory, `${kind}.elf`);
  const script = source('flat.lds');
  const options = ['-static', '-nostdlib', '-T', script, `--defsym=base=${base}`, '--build-id=none'];
  execFileSync('ld.lld', [
    ...options,
    '-m',
    kind === 'multiboot' ? 'elf_i386' : 'elf_x86_64',
    '-o',
    elf,
    ...objects,
  ]);
  return elf;
}

/** Builds the program for this machine. @param {string} directory @param {number} repetitions @returns {string} */
export function buildNative(directory, repetitions) {
  const program = join(directory, 'native');
  const files = [source('native.c'), source('program.c'), kernels];
  const options = [...common, '-mgeneral-regs-only', `-DREPETITIONS=${repetitions}`, '-no-pie'];
  execFileSync('clang', [...options, '-o', program, ...files]);
  return program;
}
