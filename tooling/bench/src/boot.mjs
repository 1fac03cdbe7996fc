import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackKernel } from '@xenolith/domain-builder';
import { debianPieces } from '@xenolith-tooling/debian';
import { commandLine } from './command-line.mjs';
import { isInstalled } from './programs.mjs';
import { median, ratio, table } from './statistics.mjs';
import { timedLines } from './watch.mjs';

const isBooted = (/** @type {string} */ line) => line.includes('BOOT-OK');

/**
 * Debian's kernel with the yardstick initramfs, from process start to its line BOOT-OK. QEMU gets the unpacked kernel
 * (its PVH entry), as we unpack it once and keep it; without that it would unpack it by emulated instructions.
 * @param {string} directory for the unpacked kernel @param {number} rounds
 * @returns {Promise<string>} what to print
 */
export async function measureBoot(directory, rounds) {
  const { pieces, reason } = debianPieces();
  if (pieces === undefined) return `Debian's boot is skipped: ${reason}.`;
  const options = ['--memory', '512', '--cmdline', 'console=hvc0'];
  const engines = [
    {
      name: 'xenolith',
      command: [process.execPath, commandLine, 'run', pieces.vmlinuz, '--ramdisk', pieces.initrd, ...options],
    },
  ];
  const notes = [];
  if (isInstalled('qemu-system-x86_64')) {
    const vmlinux = join(directory, 'vmlinux');
    writeFileSync(vmlinux, unpackKernel(readFileSync(pieces.vmlinuz)).image);
    const machine = ['-accel', 'tcg', '-m', '512', '-display', 'none', '-serial', 'stdio', '-no-reboot'];
    const guest = ['-kernel', vmlinux, '-initrd', pieces.initrd, '-append', 'console=ttyS0'];
    engines.push({ name: 'QEMU TCG', command: ['qemu-system-x86_64', ...machine, ...guest] });
  } else {
    notes.push('QEMU is skipped: not installed (Debian: apt install qemu-system-x86).');
  }

  // The command line keeps the unpacked kernel from its first run on.
  await timedLines(engines[0]?.command ?? [], { until: () => true });

  /** @type {Map<string, number[]>} */
  const times = new Map(engines.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, command } of engines) {
      const lines = await timedLines(command, { until: isBooted });
      times.get(name)?.push(lines.at(-1)?.at ?? 0);
    }
  }
  const ours = median(times.get('xenolith') ?? []);
  const rows = [["Debian's kernel to BOOT-OK", 'seconds', "xenolith's time"]];
  for (const [name, values] of times) {
    const time = median(values);
    rows.push([name, (time / 1000).toFixed(2), name === 'xenolith' ? '1' : `${ratio(ours / time)} x`]);
  }
  return [table(rows), ...notes].join('\n');
}
