import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDevice } from '@xenolith/blkback';
import { createHost, loadKernel } from '@xenolith/host';
import { debianPieces } from '@xenolith-tooling/debian';
import { describe, expect, it } from 'vitest';
import { ioGuests } from '../src/devices/guests.mjs';

const MIB = 4;

class CountingDevice extends MemoryDevice {
  requests = 0;
  override read(offset: number, length: number): Uint8Array {
    this.requests++;
    return super.read(offset, length);
  }
}

const { pieces, reason } = debianPieces();

describe.skipIf(pieces === undefined)(`a disk request of Debian's (${reason ?? 'found'})`, () => {
  it('leaves the interpreter a few times only', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
    try {
      const { guests } = ioGuests(directory);
      const device = new CountingDevice(MIB << 20);
      const host = await createHost({ memoryMiB: 128, clock: 'virtual', statistics: true });
      const { exits, hypercalls } = host.statistics!;
      const now = () => ({
        requests: device.requests,
        exits: Object.values(exits).reduce((sum, count) => sum + count, 0),
        sends: hypercalls.get('event_channel_op') ?? 0,
        grants: hypercalls.get('grant_table_op') ?? 0,
      });
      let output = '';
      const marks = new Map<string, ReturnType<typeof now>>();
      const guest = host.createDomain({
        kernel: loadKernel(readFileSync(guests!.vmlinuz)),
        ramdisk: readFileSync(guests!.xenRamdisk),
        cmdline: `console=hvc0 quiet work=disk mib=${MIB} seconds=0.05`,
        memoryMiB: 128,
        disks: [{ vdev: 'xvda', device }],
        onConsole: (bytes) => {
          output += Buffer.from(bytes).toString('latin1');
          for (const [, name] of output.matchAll(/RESULT (\S+) /g))
            if (!marks.has(name!)) marks.set(name!, now());
        },
      });
      guest.unpause();
      await host.run();
      expect(guest.result, output).toMatchObject({ reason: 'poweroff' });
      const [before, after] = [marks.get('sequential-read')!, marks.get('random-read')!];
      const each = (what: keyof typeof before) =>
        (after[what] - before[what]) / (after.requests - before.requests);
      expect(after.requests - before.requests).toBeGreaterThan(1000);
      // One event there, no grant mapped or copied by the guest; the rest are its system call and its interrupt.
      expect(each('sends')).toBeLessThan(1.2);
      expect(each('grants')).toBe(0);
      expect(each('exits')).toBeLessThan(10);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
