import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { busyboxInitramfs, moduleEntries } from '@xenolith-tooling/debian';
import { reason as noKernel, pieces } from './debian-machine.js';

/** In CI it is there. */
export const hasPasst = spawnSync('passt', ['--version']).error === undefined || process.env.CI === 'true';

/** Why guests cannot be shown the outside here. */
export const reason = noKernel ?? (hasPasst ? undefined : 'passt is not installed');

/** A ramdisk with xen-netfront and a script for udhcpc. @param init file of `fixtures` */
export function outsideRamdisk(init: string): Uint8Array {
  const fixture = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));
  return busyboxInitramfs(pieces!.busybox, fixture(init), [
    ...moduleEntries(pieces!.modules, ['xen-netfront']),
    { type: 'file', path: 'dhcp', mode: 0o755, data: fixture('dhcp.sh') },
  ]);
}

/** An HTTP server on this machine's loopback. */
export async function serveHttp(answer: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** A port of the loopback that nobody has. */
export async function freePort(): Promise<number> {
  const { server, port } = await serveHttp(() => {});
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
