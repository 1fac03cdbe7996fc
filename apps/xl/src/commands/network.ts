import { resolve } from 'node:path';
import type { HostChoice } from '../control/client.js';
import type { VifInfo } from '../control/vif-info.js';
import { ExitStatus } from '../exit-status.js';
import { ask } from './control.js';

/** Commands about the network interfaces of a guest in a running host. */

/** `xenolith network-list DOMAIN…` */
export async function networkListCommand(
  domains: readonly string[],
  options: HostChoice & { json?: boolean },
): Promise<number> {
  const vifs: VifInfo[] = [];
  for (const domain of domains)
    vifs.push(...((await ask(options, { do: 'network-list', domain })) as VifInfo[]));
  const text = options.json ? JSON.stringify(vifs, undefined, 2) : networkListText(vifs);
  process.stdout.write(`${text}\n`);
  return ExitStatus.poweredOff;
}

/** `xenolith network-attach DOMAIN KEY=VALUE…` */
export async function networkAttachCommand(
  domain: string,
  words: readonly string[],
  options: HostChoice,
): Promise<number> {
  await ask(options, { do: 'network-attach', domain, vif: words.join(','), directory: resolve('.') });
  return ExitStatus.poweredOff;
}

/** `xenolith network-detach DOMAIN DEVID|MAC` */
export async function networkDetachCommand(
  domain: string,
  vif: string,
  options: HostChoice & { force?: boolean },
): Promise<number> {
  await ask(options, { do: 'network-detach', domain, vif, force: options.force ?? false });
  return ExitStatus.poweredOff;
}

/** The table of `xl network-list` (xl_nic.c). */
export function networkListText(vifs: readonly VifInfo[]): string {
  const rows = vifs.map(({ id, backendId, mac, state, eventChannel, txRingRef, rxRingRef, backend }) => {
    const right = (value: number, width: number): string => String(value).padStart(width);
    const left = (value: number, width: number): string => String(value).padEnd(width);
    const numbers = [right(id, 6), right(state, 5), right(eventChannel, 6), right(txRingRef, 5)];
    return `${left(id, 3)} ${left(backendId, 2)} ${mac}${numbers.join(' ')}/${left(rxRingRef, 11)} ${backend}`;
  });
  return ['Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path', ...rows].join('\n');
}
