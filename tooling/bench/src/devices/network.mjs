import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine } from '../command-line.mjs';
import { isInstalled } from '../programs.mjs';
import { guestResults } from '../watch.mjs';
import { collect } from './comparison.mjs';
import { GUEST_MIB, hasQemu, ioGuests, qemu } from './guests.mjs';

const RESULTS = [
  { name: 'tcp', what: 'network: TCP between two guests', unit: 'MB/s' },
  { name: 'tcp-round-trips', what: 'network: round trips of a byte over TCP', unit: '1/s' },
  { name: 'ping', what: 'network: ping', unit: 'ms', lessIsBetter: true },
];
const ONE_CORE = ['taskset', '--cpu-list', '0'];

/**
 * Two Debian guests: xen-netfront on a switch here; virtio_net in two QEMUs that are joined by a socket, once on one core
 * as ours are, once on two.
 * @param {string} directory @param {{ rounds: number, mib: number, count: number }} size
 * @returns {Promise<{ lines: import('./comparison.mjs').Measured[], note?: string }>}
 */
export async function measureNetwork(directory, { rounds, mib, count }) {
  const { guests, reason } = ioGuests(directory);
  if (!guests) return { lines: [], note: `The network is skipped: ${reason}.` };
  const works = [
    'work=serve mine=10.0.0.1',
    `work=send mine=10.0.0.2 theirs=10.0.0.1 mib=${mib} count=${count}`,
  ];
  const configs = works.map((work, i) => {
    const file = join(directory, `guest${i}.cfg`);
    const settings = {
      name: `guest${i}`,
      kernel: guests.vmlinuz,
      ramdisk: guests.xenRamdisk,
      memory: GUEST_MIB,
      cmdline: `console=hvc0 quiet ${work}`,
      vif: ['bridge=xenbr0'],
    };
    const text = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    writeFileSync(file, text.join(''));
    return file;
  });
  const ours = new Map();
  const oneCore = new Map();
  const twoCores = new Map();
  for (let round = 0; round < rounds; round++) {
    collect(ours, await guestResults([[process.execPath, commandLine, 'up', ...configs]], { guests: 2 }));
    if (!hasQemu()) continue;
    for (const [prefix, values] of /** @type {const} */ ([
      [ONE_CORE, oneCore],
      [[], twoCores],
    ])) {
      if (prefix.length > 0 && !isInstalled('taskset')) continue;
      const socket = join(directory, `net-${round}-${prefix.length}`);
      const pair = works.map((work, i) => [
        ...prefix,
        ...qemu(guests, work, [
          ...['-netdev', `stream,id=n,server=${i === 0 ? 'on' : 'off'},addr.type=unix,addr.path=${socket}`],
          ...['-device', `virtio-net-pci,netdev=n,mac=52:54:00:00:00:0${i}`],
        ]),
      ]);
      collect(values, await guestResults(pair, { isUp: () => appears(socket) }));
    }
  }
  /** @param {Map<string, number[]>} peer @param {string} suffix */
  const lines = (peer, suffix) =>
    RESULTS.map(({ name, what, ...rest }) => ({
      ...rest,
      what: what + suffix,
      ours: ours.get(name) ?? [],
      peer: peer.get(name),
    }));
  return {
    lines: [...lines(oneCore, ''), ...(twoCores.size > 0 ? lines(twoCores, ', a core for each QEMU') : [])],
  };
}

/** @param {string} file */
async function appears(file) {
  while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 20));
}
