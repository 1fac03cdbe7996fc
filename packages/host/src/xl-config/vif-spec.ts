import { BadInputError } from '@xenolith/host-interface';
import { isDomain0 } from '../devices/domain-0.js';
import { checkedMac, type VifRate } from '../devices/vif.js';
import { PORT_KEYS, type PortSpec, readPort } from './port-spec.js';
import { suggest } from './suggest.js';

/** A network interface as xl-network-configuration(5) describes it. What it does not say has the toolstack's default. */
export interface VifSpec {
  mac?: string;
  bridge?: string;
  rate?: VifRate;
  ip?: string;
  vifname?: string;
  /** Name or number of the domain that serves it, if it is not domain 0. */
  backend?: string;
  /** Script of that domain that plugs the interface in. */
  script?: string;
  trusted?: boolean;
  devid?: number;
  mtu?: number;
  /** Path of a pcapng file for what goes by. */
  capture?: string;
  /** What it is plugged into, if that is no switch: for the toolstack to open. */
  port?: PortSpec;
}

const KEYS = [
  'mac',
  'bridge',
  'rate',
  'ip',
  'vifname',
  'backend',
  'script',
  'devid',
  'mtu',
  'type',
  'capture',
];
/** Why some keys cannot be had. */
const REFUSED = new Map([
  ['gatewaydev', 'there is no routing by the host'],
  ['netdev', 'there is no routing by the host'],
  ['vlan', 'switches have no VLANs'],
  ['model', 'it is for HVM guests'],
]);

/**
 * Reads an interface of `vif = [ … ]` or `--vif`: `key=value` in any order; the empty string is an interface, too.
 * Beside xl's types there are those of `PortSpec`, and beside its keys `capture`.
 * @throws BadInputError saying what is wrong and how it should be
 */
export function parseVifSpec(text: string): VifSpec {
  const fail = (problem: string): never => {
    throw new BadInputError(`The network interface "${text}" cannot be had: ${problem}.`);
  };
  const pairs: [key: string, value: string][] = [];
  let trusted: boolean | undefined;
  for (const part of text.split(',').map((word) => word.trim())) {
    if (part === '') continue;
    if (part === 'trusted' || part === 'untrusted') {
      trusted = part === 'trusted';
      continue;
    }
    const [, key, value] = /^([a-z_]+)=(.*)$/.exec(part) ?? fail(`"${part}" should read key=value`);
    pairs.push([key!, value!]);
  }
  const type = pairs.findLast(([key]) => key === 'type')?.[1] ?? 'vif';
  if (type === 'ioemu') fail('the type ioemu, an emulated card, is for HVM guests');
  if (type !== 'vif' && !PORT_KEYS.has(type))
    fail(`the type is vif, ${[...PORT_KEYS.keys()].join(', ')}, not "${type}"`);
  checkKeys(pairs, type, fail);
  return { ...read(pairs, type, fail), ...(trusted !== undefined && { trusted }) };
}

type Pairs = readonly (readonly [key: string, value: string])[];

function checkKeys(pairs: Pairs, type: string, fail: (problem: string) => never): void {
  const known = [...KEYS, ...(PORT_KEYS.get(type) ?? [])];
  for (const [key] of pairs) {
    const refused = REFUSED.get(key);
    if (refused) fail(`"${key}": ${refused}`);
    const [owner] = [...PORT_KEYS].find(([, keys]) => keys.includes(key)) ?? [];
    if (owner && owner !== type) fail(`"${key}" belongs to type=${owner}`);
    if (!known.includes(key)) {
      const close = suggest(key, known);
      fail(`there is no "${key}"${close ? `, did you mean "${close}"?` : ''}`);
    }
    if (type !== 'vif' && ['bridge', 'backend'].includes(key))
      fail(`with type=${type} it is on no ${key === 'bridge' ? 'bridge' : 'other domain'}`);
  }
}

function read(pairs: Pairs, type: string, fail: (problem: string) => never): VifSpec {
  const texts = (key: string) => pairs.filter(([name]) => name === key).map(([, value]) => value);
  const text = (key: string): string | undefined => texts(key).at(-1);
  const number = (key: string, min: number, max: number): number | undefined => {
    const written = text(key);
    if (written === undefined) return undefined;
    const value = /^\d{1,10}$/.test(written) ? Number(written) : Number.NaN;
    return value >= min && value <= max
      ? value
      : fail(`${key} is a number from ${min} to ${max}, not "${written}"`);
  };
  const [mac, rate, script, capture] = ['mac', 'rate', 'script', 'capture'].map(text);
  const backend = isDomain0(text('backend')) ? undefined : text('backend');
  if (backend === undefined && script !== undefined)
    fail('there are no hotplug scripts but in a driver domain, which "backend" names');
  if (capture === '') fail('the file of a capture has a name');
  if (backend !== undefined && capture !== undefined)
    fail('what goes by in a driver domain is not seen here, so there is no capture of it');
  const spec = {
    mac: mac === undefined ? undefined : macOf(mac, fail),
    bridge: text('bridge'),
    rate: rate === undefined ? undefined : rateOf(rate, fail),
    ip: text('ip'),
    vifname: text('vifname'),
    backend,
    script,
    devid: number('devid', 0, 0xffff),
    mtu: number('mtu', 68, 0xffff),
    capture,
    port: type === 'vif' ? undefined : readPort(type, { text, texts, number, fail }),
  };
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
}

function macOf(text: string, fail: (problem: string) => never): string {
  try {
    return checkedMac(text);
  } catch (error) {
    return fail((error as Error).message.replace(/\.$/, ''));
  }
}

const MULTIPLES: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9 };
const MICROSECONDS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };
const DEFAULT_INTERVAL_US = 50_000;
const MAX_INTERVAL_US = 0xffff_ffff;

/** `10Mb/s`, `250KB/s@20ms`: how much may go in each interval. */
function rateOf(text: string, fail: (problem: string) => never): VifRate {
  const match = /^(\d{1,12})([GMK]?)([Bb])\/s(?:@(\d{1,10})(us|ms|s))?$/.exec(text);
  if (!match) return fail(`the rate should look like 10Mb/s or 250KB/s@20ms, not "${text}"`);
  const [, amount, multiple, unit, interval, intervalUnit] = match;
  const perSecond = (Number(amount) * MULTIPLES[multiple!]!) / (unit === 'b' ? 8 : 1);
  const intervalUs =
    interval === undefined ? DEFAULT_INTERVAL_US : Number(interval) * MICROSECONDS[intervalUnit!]!;
  if (intervalUs === 0 || intervalUs > MAX_INTERVAL_US)
    fail(`an interval of the rate is 1us to 4294s, not "${text}"`);
  const bytes = Math.floor((perSecond * intervalUs) / 1e6);
  return bytes > 0 ? { bytes, intervalUs } : fail(`with the rate "${text}" nothing could be sent`);
}
