import type { KernelReport } from './inspect.js';

/** A report as text for people: lines without colours, at most some 100 columns, ending with a newline. */
export function formatKernelReport(report: KernelReport): string {
  const lines = [...fileLines(report), ...elfLines(report), ...noteLines(report), ...domainLines(report)];
  return `${lines.join('\n')}\n`;
}

function fileLines({ file, elf }: KernelReport): string[] {
  const { bzImage } = file;
  const packed = file.compression === 'none' ? 'not packed' : `packed with ${file.compression}`;
  const lines = [`Image       ${file.container}, ${packed}, ${bytes(file.bytes)}`];
  if (bzImage !== undefined) {
    lines.push(
      `            boot protocol ${bzImage.protocol}, payload at 0x${bzImage.payloadOffset.toString(16)}, ${bytes(bzImage.payloadLength)}`,
    );
    if (bzImage.version !== '') lines.push(`Version     ${bzImage.version}`);
  }
  lines.push(`Kernel      ELF${elf.bits} for ${elf.machine}, ${bytes(elf.bytes)}, entry ${elf.entry}`);
  return lines;
}

function elfLines({ elf }: KernelReport): string[] {
  const rows = elf.segments.map((s) => [
    s.type,
    s.access,
    s.fileOffset,
    s.virtual,
    s.physical,
    String(s.fileBytes),
    String(s.memoryBytes),
  ]);
  const header = ['Segment', '', 'offset', 'virtual', 'physical', 'in file', 'in memory'];
  return ['', ...table([header, ...rows], new Set([5, 6]))];
}

function noteLines({ notes }: KernelReport): string[] {
  if (notes === undefined) return ['', 'No notes for Xen.'];
  return [
    '',
    `Notes for Xen (${notes.source})`,
    ...table(notes.values.map(({ name, value }) => [`  ${name}`, value])),
    ...table([
      ['  requires', notes.requiredFeatures.join(', ') || 'no features'],
      ['  supports', notes.supportedFeatures.join(', ') || 'no features'],
    ]),
  ];
}

function domainLines({ domain, problem }: KernelReport): string[] {
  if (domain === undefined) return ['', `Cannot be started: ${problem}`];
  const rows = domain.regions.map((r) => [
    r.name,
    `0x${r.pfn.toString(16)}`,
    String(r.pages),
    r.virtual ?? 'not mapped',
  ]);
  return [
    '',
    `In a PV domain (${domain.guestType}) with ${domain.memory} MiB`,
    ...table([['Region', 'pfn', 'pages', 'virtual'], ...rows], new Set([2])),
    `Mapped from ${domain.virtBase} to ${domain.mappedEnd}, entry ${domain.entry}, ${domain.freePages} pages free.`,
  ];
}

function bytes(count: number): string {
  const size = count < 1 << 20 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / (1 << 20)).toFixed(1)} MiB`;
  return `${count} bytes (${size})`;
}

/** Aligned columns; those in `right` are aligned to the right. */
function table(rows: readonly (readonly string[])[], right: ReadonlySet<number> = new Set()): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}
