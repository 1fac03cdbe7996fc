import type { DomainInfo } from '@xenolith/host';

/** The letters of `xl list` (xl_list.c): running, blocked, paused, shut down, crashed, dying. */
export function stateLetters(info: DomainInfo): string {
  const flags: [boolean, string][] = [
    [info.running, 'r'],
    [info.blocked, 'b'],
    [info.paused, 'p'],
    [info.shutdown !== undefined, 's'],
    [info.shutdown === 'crash', 'c'],
    [info.dying, 'd'],
  ];
  return flags.map(([set, letter]) => (set ? letter : '-')).join('');
}

/** What a domain does, in a word. */
export function stateWord({ dying, shutdown, paused, blocked }: DomainInfo): string {
  if (dying) return 'dead, its memory is coming back or mapped by others';
  if (shutdown !== undefined) return shutdown === 'crash' ? 'crashed' : `shut down (${shutdown})`;
  if (paused) return 'paused';
  return blocked ? 'waiting' : 'running';
}

/** The table of `xl list`. */
export function listText(domains: readonly DomainInfo[]): string {
  const rows = domains.map((info) => {
    const name = (info.name ?? '(null)').padEnd(40);
    const memory = Math.floor(info.memoryKiB / 1024);
    const time = (info.cpuTimeNs / 1e9).toFixed(1);
    const numbers = [
      String(info.domid).padStart(5),
      String(memory).padStart(5),
      String(info.vcpus).padStart(5),
    ];
    return `${name} ${numbers.join(' ')}     ${stateLetters(info)}  ${time.padStart(8)}`;
  });
  return [`${'Name'.padEnd(40)}    ID   Mem VCPUs\tState\tTime(s)`, ...rows].join('\n');
}
