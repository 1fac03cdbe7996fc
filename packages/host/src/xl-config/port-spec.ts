/** What an interface is plugged into instead of a switch of its host: where the network leads to the outside. */
export type PortSpec = PasstSpec | StreamSpec | WebSocketSpec;

/** `type=passt`: a passt(1) of its own. */
export interface PasstSpec {
  type: 'passt';
  tcp: readonly PortForwardSpec[];
  udp: readonly PortForwardSpec[];
  /** IPv4 address with the length of its prefix. */
  address?: string;
  gateway?: string;
  /** Absent: passt's choice; empty: none. */
  dns?: readonly string[];
  loopback: boolean;
  restrict: boolean;
}

export interface PortForwardSpec {
  /** An address of this machine. Default: its loopback. */
  address?: string;
  port: number;
  guestPort: number;
}

/** `type=stream`: a program that speaks the framing of QEMU's `-netdev stream`. */
export type StreamSpec = { type: 'stream' } & ({ path: string } | { host: string; port: number });

/** `type=websocket`: a relay for raw frames. */
export interface WebSocketSpec {
  type: 'websocket';
  url: string;
}

/** The keys of each type, besides those that all interfaces have. */
export const PORT_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['passt', ['tcp', 'udp', 'gateway', 'dns', 'loopback', 'restrict']],
  ['stream', ['path', 'host', 'port']],
  ['websocket', ['url']],
]);

/** The values of an interface's keys. Must not return from `fail`. */
export interface PortValues {
  /** The last one. */
  text(key: string): string | undefined;
  /** All, in their order. */
  texts(key: string): readonly string[];
  number(key: string, min: number, max: number): number | undefined;
  fail(problem: string): never;
}

/** @param type one of `PORT_KEYS` */
export function readPort(type: string, values: PortValues): PortSpec {
  if (type === 'passt') return readPasst(values);
  return type === 'stream' ? readStream(values) : readWebSocket(values);
}

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

function readPasst({ text, texts, fail }: PortValues): PasstSpec {
  const [ip, gateway, dns] = [text('ip'), text('gateway'), texts('dns')];
  if (ip !== undefined && !/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/.test(ip))
    fail(`with passt an ip looks like 10.0.2.15/24, not "${ip}"`);
  if (gateway !== undefined && !IPV4.test(gateway)) fail(`a gateway looks like 10.0.2.2, not "${gateway}"`);
  if ((ip === undefined) !== (gateway === undefined)) fail('ip and gateway are given both or neither');
  const flag = (key: string): boolean => {
    const value = text(key) ?? '0';
    return value === '1' || (value !== '0' && fail(`${key} is 0 or 1, not "${value}"`));
  };
  const forwards = (key: string): PortForwardSpec[] =>
    texts(key).map((value) => forwardOf(value) ?? fail(forwardHelp(key, value)));
  const spec = { tcp: forwards('tcp'), udp: forwards('udp'), loopback: flag('loopback') };
  if (spec.udp.length > 0 && !spec.loopback) fail('udp needs loopback=1: by that way its answers come back');
  return {
    type: 'passt',
    ...spec,
    restrict: flag('restrict'),
    ...(ip !== undefined && { address: ip }),
    ...(gateway !== undefined && { gateway }),
    ...(dns.length > 0 && { dns: dns.filter((server) => server !== 'none') }),
  };
}

const forwardHelp = (key: string, value: string): string =>
  `${key} looks like 8080, 8080:80 or 0.0.0.0/8080:80 (this machine's port, the guest's), not "${value}"`;

function forwardOf(text: string): PortForwardSpec | undefined {
  const [, address, port, guestPort = port] =
    /^(?:([0-9a-f.:]+)\/)?(\d{1,5})(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const isPort = (value: string | undefined): boolean => Number(value) >= 1 && Number(value) <= 0xffff;
  if (!isPort(port) || !isPort(guestPort)) return undefined;
  return { ...(address !== undefined && { address }), port: Number(port), guestPort: Number(guestPort) };
}

function readStream({ text, number, fail }: PortValues): StreamSpec {
  const [path, host, port] = [text('path'), text('host'), number('port', 1, 0xffff)];
  if (path !== undefined && host === undefined && port === undefined) return { type: 'stream', path };
  if (path === undefined && host !== undefined && port !== undefined) return { type: 'stream', host, port };
  return fail('a stream has either a path or a host and a port');
}

function readWebSocket({ text, fail }: PortValues): WebSocketSpec {
  const url = text('url') ?? fail('a relay has a url');
  return /^wss?:\/\/./.test(url)
    ? { type: 'websocket', url }
    : fail(`the url of a relay begins with ws:// or wss://, unlike "${url}"`);
}
