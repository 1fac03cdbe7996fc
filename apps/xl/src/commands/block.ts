import { resolve } from 'node:path';
import type { HostChoice } from '../control/client.js';
import type { DiskInfo } from '../control/disk-info.js';
import { ExitStatus } from '../exit-status.js';
import { ask } from './control.js';

/** Commands about the disks of a guest in a running host. */

/** `xenolith block-list DOMAIN` */
export async function blockListCommand(
  domain: string,
  options: HostChoice & { json?: boolean },
): Promise<number> {
  const disks = (await ask(options, { do: 'block-list', domain })) as DiskInfo[];
  const text = options.json ? JSON.stringify(disks, undefined, 2) : blockListText(disks);
  process.stdout.write(`${text}\n`);
  return ExitStatus.poweredOff;
}

/** `xenolith block-attach DOMAIN DISK` */
export async function blockAttachCommand(domain: string, disk: string, options: HostChoice): Promise<number> {
  const request = { do: 'block-attach', domain, disk, directory: resolve('.') } as const;
  const { warnings } = (await ask(options, request)) as { warnings: string[] };
  for (const warning of warnings) process.stderr.write(`xenolith: ${warning}\n`);
  return ExitStatus.poweredOff;
}

/** `xenolith block-detach DOMAIN VDEV` */
export async function blockDetachCommand(
  domain: string,
  vdev: string,
  options: HostChoice & { force?: boolean },
): Promise<number> {
  await ask(options, { do: 'block-detach', domain, vdev, force: options.force ?? false });
  return ExitStatus.poweredOff;
}

/** `xenolith block-resize DOMAIN VDEV` */
export async function blockResizeCommand(domain: string, vdev: string, options: HostChoice): Promise<number> {
  await ask(options, { do: 'block-resize', domain, vdev });
  return ExitStatus.poweredOff;
}

/** `xenolith cd-insert DOMAIN VDEV IMAGE`, and with an empty one `cd-eject` */
export async function mediumCommand(
  domain: string,
  vdev: string,
  target: string,
  options: HostChoice,
): Promise<number> {
  await ask(options, { do: 'cd-insert', domain, vdev, target, directory: resolve('.') });
  return ExitStatus.poweredOff;
}

export function blockListText(disks: readonly DiskInfo[]): string {
  const rows = disks.map(({ vdev, id, backendId, size, readonly, state, target }) => {
    const room = size === undefined ? '-' : `${(size / (1 << 20)).toFixed(1)}`;
    const columns = [
      vdev.padEnd(8),
      String(id).padStart(9),
      String(backendId).padStart(3),
      room.padStart(10),
      readonly ? 'ro' : 'rw',
    ];
    return `${columns.join(' ')}  ${state.padEnd(12)} ${target}`;
  });
  return [`${'Disk'.padEnd(8)}    Number  BE   Size/MiB     State        Target`, ...rows].join('\n');
}
