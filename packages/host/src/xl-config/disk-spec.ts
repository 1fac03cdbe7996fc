import { parseVdev } from '@xenolith/blkback/codec';
import { BadInputError } from '@xenolith/host-interface';
import { isDomain0 } from '../devices/domain-0.js';
import { suggest } from './suggest.js';

export type DiskFormat = 'raw' | 'qcow2' | 'vhd' | 'qcow' | 'qed';

/** A disk as xl-disk-configuration(5) describes it. */
export interface DiskSpec {
  /** File, device or address; empty: an empty drive. */
  target: string;
  format: DiskFormat;
  vdev: string;
  readonly: boolean;
  cdrom: boolean;
  /** Name or number of the domain that serves it, if it is not domain 0. */
  backend?: string;
  /** Script of that domain that plugs the disk in. */
  script?: string;
  discard: boolean;
  /** Whether the guest may show the backend pages that hold other data, too. */
  trusted: boolean;
}

const FORMATS = ['raw', 'qcow2', 'vhd', 'qcow', 'qed'] as const;
const ACCESS = new Map([
  ['r', true],
  ['ro', true],
  ['w', false],
  ['rw', false],
]);
/** Words that stand alone. */
const FLAGS = ['cdrom', 'discard', 'no-discard', 'direct-io-safe', 'trusted', 'untrusted'];
const KEYS = ['target', 'format', 'vdev', 'access', 'devtype', 'backend', 'backendtype', 'script'];
const POSITIONS = ['target', 'format', 'vdev', 'access'] as const;

/**
 * Reads a disk of `disk = [ … ]` or `--disk`: `target, format, vdev, access` by position, or `key=value` in any order, the
 * target last if it has commas.
 * @throws BadInputError saying what is wrong, where and how it should be
 */
export function parseDiskSpec(text: string): DiskSpec {
  const fail = (problem: string): never => {
    throw new BadInputError(`The disk "${text}" cannot be had: ${problem}.`);
  };
  const values = new Map<string, string>();
  const flags = new Set<string>();
  let position = 0;
  for (let rest: string | undefined = text; rest !== undefined; ) {
    rest = rest.trimStart();
    const comma = rest.indexOf(',');
    const word = (comma < 0 ? rest : rest.slice(0, comma)).trim();
    const named = /^([a-z][a-z-]*)=(.*)$/.exec(word);
    if (named?.[1] === 'target') {
      values.set('target', rest.slice('target='.length).trim());
      break;
    }
    if (named) {
      const key = named[1]!;
      const close = suggest(key, KEYS);
      if (!KEYS.includes(key)) fail(`there is no "${key}"${close ? `, did you mean "${close}"?` : ''}`);
      values.set(key, named[2]!);
    } else if (FLAGS.includes(word)) flags.add(word);
    else {
      const key = POSITIONS[position++];
      if (!key) return fail(`"${word}" is one part too many`);
      if (word !== '') values.set(key, word);
    }
    rest = comma < 0 ? undefined : rest.slice(comma + 1);
  }
  return check(values, flags, fail);
}

function check(values: Map<string, string>, flags: Set<string>, fail: (problem: string) => never): DiskSpec {
  const vdev = values.get('vdev') ?? fail('it has no vdev, its name in the guest, such as xvda');
  try {
    parseVdev(vdev);
  } catch (error) {
    fail((error as Error).message);
  }
  const cdrom = flags.has('cdrom') || values.get('devtype') === 'cdrom';
  const devtype = values.get('devtype') ?? 'disk';
  if (devtype !== 'disk' && devtype !== 'cdrom') fail(`devtype is disk or cdrom, not "${devtype}"`);
  const { target, prefixFormat } = splitPrefix(values.get('target') ?? '');
  const format = (values.get('format') || prefixFormat) ?? 'raw';
  const known = FORMATS.find((name) => name === format);
  if (!known) return fail(`the format is one of ${FORMATS.join(', ')}, not "${format}"`);
  const access = values.get('access') || (cdrom ? 'ro' : 'rw');
  const readonly = ACCESS.get(access);
  if (readonly === undefined) return fail(`the access is ro or rw, not "${access}"`);
  if (cdrom && !readonly) fail('a CD-ROM is read-only');
  if (target === '' && !cdrom) fail('it has no target; only a drive with "cdrom" may be empty');
  const [named, script] = [values.get('backend'), values.get('script')];
  const backend = isDomain0(named) ? undefined : named;
  if (backend !== undefined && known !== 'raw')
    fail(`another domain serves block devices as they are: for the format ${known} it would need QEMU`);
  if (backend === undefined && script !== undefined)
    fail('there are no block scripts but in a driver domain, which "backend" names');
  return {
    target,
    format: known,
    vdev,
    readonly,
    cdrom,
    discard: !flags.has('no-discard'),
    trusted: !flags.has('untrusted'),
    ...(backend !== undefined && { backend }),
    ...(script !== undefined && { script }),
  };
}

/** Old ways to write a target: `file:`, `phy:`, `tap:aio:`, `tap:qcow2:`. */
function splitPrefix(target: string): { target: string; prefixFormat?: string } {
  const match = /^(?:phy:|file:|(?:tap2?:)?(?:aio|raw|qcow2|qcow|vhd|qed):|tap2?:)(.*)$/.exec(target);
  if (!match) return { target };
  const format = /(qcow2|qcow|vhd|qed):/.exec(target.slice(0, target.length - match[1]!.length));
  return { target: match[1]!, ...(format && { prefixFormat: format[1]! }) };
}
