import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { NetworkPort } from '../ports/network-port.js';
import { NetworkPortError, type OutsidePortOptions } from '../ports/outside-port.js';
import { streamPort } from './stream-port.js';

/** A port of this machine that leads to one of the guest's. */
export interface PortForward {
  /** An address of this machine. Default `127.0.0.1`: nobody else reaches it. */
  address?: string;
  port: number;
  /** Default: the same. */
  guestPort?: number;
}

/** How passt(1) is to be started. What is not said is passt's to choose: it takes after this machine. */
export interface PasstOptions extends OutsidePortOptions {
  tcp?: readonly PortForward[];
  udp?: readonly PortForward[];
  /** IPv4 address that the guest gets by DHCP, with the length of its network's prefix: `10.0.2.15/24`. */
  address?: string;
  gateway?: string;
  /** Name servers that the guest is told; an empty list: none. */
  dns?: readonly string[];
  /** Bytes of IP in a frame that the guest is told. */
  mtu?: number;
  /** The gateway's address leads to this machine's loopback, with whatever listens there. Default false. */
  loopback?: boolean;
  /**
   * Nothing that the guest sends leaves this machine: it is for ports that are forwarded, and for `loopback`. Default
   * false. It has the address 10.0.2.15 then, unless `address` and `gateway` say something else.
   */
  restrict?: boolean;
  /** The program. Default: `passt`, wherever PATH has it. */
  program?: string;
}

/** Of the gateway, where there is no interface to take it from: one that nobody makes. */
const RESTRICTED_MAC = '52:55:0a:00:02:02';

/**
 * Starts passt for one guest and gives a port on it: DHCP, the network that this machine has, and forwarded ports. It
 * ends with the port, or with this process, however that ends.
 * @throws NetworkPortError if it is not installed, or with what it says itself
 */
export async function startPasst(options: PasstOptions): Promise<NetworkPort> {
  const { program = 'passt' } = options;
  // Node makes a socket pair of it. There is no path in the file system that others could find, or passt not reach, as it
  // changes to the user nobody when root starts it.
  const child = spawn(program, passtArguments(options), { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const socket = child.stdio[3] as Socket;
  try {
    await started(child, program);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return streamPort(socket, options, program);
}

/** passt goes into the background when all is set up; what is wrong it says before. */
async function started(child: ChildProcess, program: string): Promise<void> {
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const failed = once(child.stderr!, 'close');
  let status: number | null;
  try {
    [status] = (await once(child, 'exit')) as [number | null];
  } catch (error) {
    throw new NetworkPortError(notStarted(error as NodeJS.ErrnoException, program));
  }
  if (status === 0) return;
  await failed;
  throw new NetworkPortError(`${program} does not start: ${reasonIn(said) || `exit status ${status}`}`);
}

const notStarted = ({ code, message }: NodeJS.ErrnoException, program: string): string =>
  code === 'ENOENT'
    ? `${program} is not installed (Debian: apt install passt). It is for Linux; elsewhere start gvproxy or ` +
      `socket_vmnet and connect to its socket (connectStreamPort; for xenolith: type=stream,path=…)`
    : `${program} cannot be started: ${message}`;

/** Its messages without what it says of the system logger and of being root. */
const reasonIn = (said: string): string =>
  said
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^Failed to send \d+ bytes to syslog|^Don't run as root/.test(line))
    .join('; ');

/** passt(1) */
export function passtArguments(options: PasstOptions): string[] {
  const { tcp = [], udp = [], mtu, loopback = false, restrict = false } = options;
  const {
    address = restrict ? '10.0.2.15/24' : undefined,
    gateway = restrict ? '10.0.2.2' : undefined,
    dns = restrict ? [] : undefined,
  } = options;
  const [ip, prefix] = address?.split('/') ?? [];
  return [
    ...['--quiet', '--fd', '3'],
    ...forwards('--tcp-ports', tcp),
    ...forwards('--udp-ports', udp),
    ...option('--address', ip),
    ...option('--netmask', prefix),
    ...option('--gateway', gateway),
    ...(dns?.length === 0 ? ['none'] : (dns ?? [])).flatMap((server) => ['--dns', server]),
    ...option('--mtu', mtu),
    ...(loopback ? [] : ['--no-map-gw']),
    // Sockets that are bound to the loopback reach nothing else.
    ...(restrict
      ? ['--ipv4-only', '--outbound', '127.0.0.1', '--interface', 'lo', '--mac-addr', RESTRICTED_MAC]
      : []),
  ];
}

const option = (name: string, value: string | number | undefined): string[] =>
  value === undefined ? [] : [name, String(value)];

/** Without any it must be told so: UDP follows TCP otherwise. */
const forwards = (name: string, ports: readonly PortForward[]): string[] =>
  ports.length === 0
    ? [name, 'none']
    : ports.flatMap(({ address = '127.0.0.1', port, guestPort = port }) => [
        name,
        `${address}/${port}:${guestPort}`,
      ]);
