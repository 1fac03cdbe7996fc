import { BadInputError } from '@xenolith/host-interface';
import { checkedMac, type VifRate } from '../devices/vif.js';
import { suggest } from './suggest.js';

/** A network interface as xl-network-configuration(5) describes it. What it does not say has the toolstack's default. */
export interface VifSpec {
  mac?: string;
  bridge?: string;
  rate?: VifRate;
  ip?: string;
  vifname?: string;
  /** Name or number of the domain that serves it. */
  backend?: string;
  devid?: number;
  mtu?: number;
}

const KEYS = ['mac', 'bridge', 'rate', 'ip', 'vifname', 'backend', 'devid', 'mtu', 'type'];
/** Why some keys cannot be had. */
const REFUSED = new Map([
  ['script', 'there are no hotplug scripts'],
  ['gatewaydev', 'there is no routing by the host'],
  ['netdev', 'there is no routing by the host'],
  ['vlan', 'switches have no VLANs'],
  ['model', 'it is for HVM guests'],
]);

/**
 * Reads an interface of `vif = [ … ]` or `--vif`: `key=value` in any order; the empty string is an interface, too.
 * @throws BadInputError saying what is wrong and how it should be
 */
export function parseVifSpec(text: string): VifSpec {
  const fail = (problem: string): never => {
    throw new BadInputError(`The network interface "${text}" cannot be had: ${problem}.`);
  };
  const values = new Map<string, string>();
  for (const part of text.split(',').map((word) => word.trim())) {
    if (part === '') continue;
    const [, key, value] = /^([a-z_]+)=(.*)$/.exec(part) ?? fail(`"${part}" should read key=value`);
    const refused = REFUSED.get(key!);
    if (refused) fail(`"${key}": ${refused}`);
    if (!KEYS.includes(key!)) {
      const close = suggest(key!, KEYS);
      fail(`there is no "${key}"${close ? `, did you mean "${close}"?` : ''}`);
    }
    values.set(key!, value!);
  }
  return check(values, fail);
}

function check(values: Map<string, string>, fail: (problem: string) => never): VifSpec {
  const type = values.get('type') ?? 'vif';
  if (type !== 'vif') fail(`the type is vif, not "${type}": emulated cards, sockets and passt are not there`);
  const number = (key: string, min: number, max: number): number | undefined => {
    const text = values.get(key);
    if (text === undefined) return undefined;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max
      ? value
      : fail(`${key} is a number from ${min} to ${max}, not "${text}"`);
  };
  const [mac, rate] = [values.get('mac'), values.get('rate')];
  const spec = {
    mac: mac === undefined ? undefined : macOf(mac, fail),
    bridge: values.get('bridge'),
    rate: rate === undefined ? undefined : rateOf(rate, fail),
    ip: values.get('ip'),
    vifname: values.get('vifname'),
    backend: values.get('backend'),
    devid: number('devid', 0, 0xffff),
    mtu: number('mtu', 68, 0xffff),
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
