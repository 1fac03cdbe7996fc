import { disassemble } from '@xenolith/cpu-emulator';
import { parseElf, unpackKernel } from '@xenolith/domain-builder';
import { BadInputError } from '@xenolith/host-interface';
import { ExitStatus } from '../exit-status.js';
import { readInput } from '../files.js';

export interface DisasmCommandOptions {
  hex?: Uint8Array;
  address?: bigint;
  offset?: bigint;
  count: number;
  mode: '64' | '32';
}

interface Code {
  bytes: Uint8Array;
  /** Address of the first byte. */
  address: bigint;
}

/** `xenolith disasm` */
export function disasmCommand(path: string | undefined, options: DisasmCommandOptions): number {
  const lines = disassembly(findCode(path, options), options.count, options.mode === '32' ? 32 : 64);
  process.stdout.write(`${lines.join('\n')}\n`);
  return ExitStatus.poweredOff;
}

function findCode(path: string | undefined, { address, hex, offset }: DisasmCommandOptions): Code {
  if (hex) {
    if (path !== undefined) throw new BadInputError('Give a file or --hex, not both.');
    return { bytes: hex, address: address ?? 0n };
  }
  if (path === undefined) throw new BadInputError('Give a file, or bytes with --hex.');
  const file = readInput(path, 'file');
  if (offset === undefined) return codeOfKernel(file, address);
  if (offset >= BigInt(file.length)) {
    throw new BadInputError(
      `The file ${path} has ${file.length} bytes: there is nothing at offset ${offset}.`,
    );
  }
  return { bytes: file.subarray(Number(offset)), address: address ?? offset };
}

/** The bytes of a kernel at a virtual address, or at its entry point. */
function codeOfKernel(file: Uint8Array, wanted: bigint | undefined): Code {
  const elf = parseElf(unpackKernel(file).image);
  const address = wanted ?? elf.entry;
  for (const { virtualAddress, physicalAddress, offset, fileSize } of elf.segments) {
    // Linux gives its entry point as a physical address.
    for (const base of [virtualAddress, physicalAddress]) {
      const at = address - base;
      if (at < 0n || at >= BigInt(fileSize)) continue;
      return { bytes: elf.reader.bytes.subarray(offset + Number(at), offset + fileSize), address };
    }
  }
  throw new BadInputError(
    `The kernel has nothing at 0x${address.toString(16)}: give another --address, or --offset.`,
  );
}

/** Lines of address, bytes and text. */
export function disassembly({ bytes, address }: Code, count: number, mode: 64 | 32): string[] {
  const lines: string[] = [];
  for (let at = 0, n = 0; at < bytes.length && n < count; n++) {
    const rip = address + BigInt(at);
    const window = bytes.subarray(at, at + 15);
    const { text, length } = disassemble(window, rip, mode);
    const size = Math.min(Math.max(length, 1), window.length);
    const raw = Array.from(window.subarray(0, size), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    lines.push(`${rip.toString(16).padStart(8)}:  ${raw.padEnd(30)} ${text}`);
    at += size;
  }
  return lines;
}
