import type { Clock } from '@xenolith/guest-api';
import type { Frame } from '../frame/frame.js';
import type { NetworkPort } from '../ports/network-port.js';
import {
  ARP_REPLY,
  ARP_REQUEST,
  decodeArp,
  decodeEcho,
  ECHO_REPLY,
  ECHO_REQUEST,
  encodeArp,
  encodeEcho,
  type Party,
} from './packets.js';

export interface StationOptions {
  clock: Clock;
  /** `00:16:3e:00:00:01` */
  mac: string;
  /** IPv4: `10.0.0.1` */
  address: string;
  /** Its end of a cable: a port of a switch, or a guest's interface. */
  port: NetworkPort;
}

export interface PingOptions {
  /** Bytes of data, 0 … 1472. Default 56, as of ping(8). */
  bytes?: number;
  /** Nanoseconds after which the answer is lost. Default one second. */
  timeoutNs?: number;
}

/** Neighbours that are remembered. */
const MAX_NEIGHBOURS = 256;

/**
 * The least that a machine on an IPv4 network does: it answers ARP and ping, and pings others. For tests, and for guests
 * in TypeScript that want no more.
 */
export class Station {
  private readonly self: Party;
  /** MAC addresses by IP address, as text. */
  private readonly neighbours = new Map<string, Uint8Array>();
  private readonly waitingForArp = new Map<string, (() => void)[]>();
  private readonly waitingForEcho = new Map<number, () => void>();
  private nextSequence = 1;

  /** @throws RangeError if an address is none */
  constructor(private readonly options: StationOptions) {
    this.self = { mac: parse(options.mac, ':', 16, 6), ip: parseIp(options.address) };
    options.port.connect((frame) => this.receive(frame));
  }

  /**
   * Asks another machine for an echo.
   * @returns how long it took, in nanoseconds of system time without the search for its address; undefined: no answer
   * @throws RangeError if the address is none
   */
  async ping(
    address: string,
    { bytes = 56, timeoutNs = 1e9 }: PingOptions = {},
  ): Promise<number | undefined> {
    const { clock } = this.options;
    const ip = parseIp(address);
    const mac = this.neighbours.get(address) ?? (await this.resolve(address, ip, timeoutNs));
    if (!mac) return undefined;
    const sequence = this.nextSequence;
    this.nextSequence = (sequence + 1) & 0xffff;
    const start = clock.now();
    const data = Uint8Array.from({ length: bytes }, (_, i) => i);
    const answered = this.within(timeoutNs, (done) => {
      this.waitingForEcho.set(sequence, done);
      const to = { mac, ip };
      this.send(encodeEcho({ type: ECHO_REQUEST, from: this.self, to, id: 1, sequence, data }));
    });
    const isAnswered = await answered;
    this.waitingForEcho.delete(sequence);
    return isAnswered ? clock.now() - start : undefined;
  }

  private receive({ data }: Frame): void {
    const arp = decodeArp(data);
    if (arp && isSame(arp.to.ip, this.self.ip)) {
      this.learn(arp.from);
      if (arp.operation === ARP_REQUEST)
        this.send(encodeArp({ operation: ARP_REPLY, from: this.self, to: arp.from }));
    }
    const echo = decodeEcho(data);
    if (!echo || !isSame(echo.to.ip, this.self.ip) || !isSame(echo.to.mac, this.self.mac)) return;
    if (echo.type === ECHO_REPLY) this.waitingForEcho.get(echo.sequence)?.();
    if (echo.type === ECHO_REQUEST)
      this.send(encodeEcho({ ...echo, type: ECHO_REPLY, from: this.self, to: echo.from }));
  }

  private async resolve(address: string, ip: Uint8Array, timeoutNs: number): Promise<Uint8Array | undefined> {
    await this.within(timeoutNs, (done) => {
      this.waitingForArp.set(address, [...(this.waitingForArp.get(address) ?? []), done]);
      const to = { mac: new Uint8Array(6), ip };
      this.send(encodeArp({ operation: ARP_REQUEST, from: this.self, to }));
    });
    this.waitingForArp.delete(address);
    return this.neighbours.get(address);
  }

  private learn({ mac, ip }: Party): void {
    const address = ip.join('.');
    if (this.neighbours.size >= MAX_NEIGHBOURS && !this.neighbours.has(address)) this.neighbours.clear();
    this.neighbours.set(address, mac);
    for (const done of this.waitingForArp.get(address) ?? []) done();
  }

  /** Whether `begin`'s `done` is called in time. */
  private within(timeoutNs: number, begin: (done: () => void) => void): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.options.clock.after(timeoutNs, () => resolve(false));
      begin(() => {
        cancel();
        resolve(true);
      });
    });
  }

  private send(data: Uint8Array): void {
    this.options.port.send({ data });
  }
}

const parseIp = (text: string): Uint8Array => parse(text, '.', 10, 4);

function parse(text: string, separator: string, base: 10 | 16, count: number): Uint8Array {
  const digits = base === 10 ? /^\d{1,3}$/ : /^[\da-f]{1,2}$/i;
  const parts = text.split(separator);
  const values = parts.map((part) => (digits.test(part) ? Number.parseInt(part, base) : 256));
  if (values.length !== count || values.some((value) => value > 255))
    throw new RangeError(`${JSON.stringify(text)} is no address.`);
  return Uint8Array.from(values);
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);
