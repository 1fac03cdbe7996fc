/**
 * Numbers of virtual block devices (xen-vbd-interface(7)): the device's name in the guest, as a number that xenstore's
 * directories are named by.
 */

const XVD_MAJOR = 202;
const EXTENDED = 1 << 28;
/** Disks and partitions that the old numbers have room for. */
const OLD_DISKS = 16;
const OLD_PARTITIONS = 16;

/** `a` → 0, `z` → 25, `aa` → 26 */
const diskOf = (letters: string): number =>
  [...letters].reduce((n, letter) => n * 26 + letter.charCodeAt(0) - 96, 0) - 1;

/**
 * The number of a name like `xvda`, `xvdb2`, `sda1`, `hdc`, `d3p1`, or of a number in text.
 * @throws RangeError naming what is wrong
 */
export function parseVdev(name: string): number {
  if (/^(0x[0-9a-f]+|\d+)$/i.test(name)) return Number(name);
  const match = /^(xvd|sd|hd)([a-z]{1,3})(\d{1,3})?$/.exec(name);
  const plain = /^d(\d+)(?:p(\d+))?$/.exec(name);
  if (!match && !plain) {
    throw new RangeError(`'${name}' is no virtual device: it looks like xvda, xvdb1, sda, hda or d0p1`);
  }
  const disk = match ? diskOf(match[2]!) : Number(plain![1]);
  const partition = Number((match ? match[3] : plain![2]) ?? 0);
  const number = encode(match?.[1] ?? 'xvd', disk, partition);
  if (number === undefined) throw new RangeError(`'${name}' is beyond the devices of its kind`);
  return number;
}

function encode(bus: string, disk: number, partition: number): number | undefined {
  if (bus === 'hd') {
    if (disk >= 4 || partition >= 64) return undefined;
    return ((disk < 2 ? 3 : 22) << 8) | ((disk % 2) << 6) | partition;
  }
  if (bus === 'sd') {
    return disk < OLD_DISKS && partition < OLD_PARTITIONS ? (8 << 8) | (disk << 4) | partition : undefined;
  }
  if (disk < OLD_DISKS && partition < OLD_PARTITIONS) return (XVD_MAJOR << 8) | (disk << 4) | partition;
  return disk < 1 << 20 && partition < 256 ? EXTENDED | (disk << 8) | partition : undefined;
}
