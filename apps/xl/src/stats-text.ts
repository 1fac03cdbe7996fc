import type { GuestDomain, Host } from '@xenolith/host';

const mostFirst = ([, a]: [string, number], [, b]: [string, number]): number => b - a;
const grouped = (value: number): string => value.toLocaleString('en-US');

/** What `--stats` prints. @param seconds real time that the guest ran */
export function statsText(host: Host, guests: readonly GuestDomain[], seconds: number): string {
  const { hypervisor, statistics } = host;
  const mips = hypervisor.retired / Math.max(seconds, 1e-9) / 1e6;
  const lines = [
    `instructions  ${grouped(hypervisor.retired)}`,
    `speed         ${mips.toFixed(1)} MIPS`,
    `time          ${seconds.toFixed(3)} s real, ${(hypervisor.clock.now / 1e9).toFixed(3)} s in the guest`,
  ];
  for (const { name, vcpuInstructions } of guests) {
    if (vcpuInstructions.length === 1 && guests.length === 1) continue;
    lines.push(
      section(
        guests.length === 1 ? 'by vCPU' : name,
        vcpuInstructions.map((count, id) => [`vCPU ${id}`, count]),
      ),
    );
  }
  if (statistics) {
    lines.push(
      section('exits', Object.entries(statistics.exits).sort(mostFirst)),
      section('hypercalls', [...statistics.hypercalls].sort(mostFirst)),
    );
  }
  return lines.join('\n');
}

function section(title: string, counts: [string, number][]): string {
  const shown = counts.filter(([, count]) => count > 0);
  const total = shown.reduce((sum, [, count]) => sum + count, 0);
  const width = grouped(total).length;
  return [
    `${title.padEnd(12)}  ${grouped(total)}`,
    ...shown.map(([name, count]) => `  ${grouped(count).padStart(width)}  ${name}`),
  ].join('\n');
}
