import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Capture } from '@xenolith/netback';
import { expect, it } from 'vitest';
import { hasTshark, tsharkOpinion } from './tshark.js';

/** A frame with UDP to port 53 of which nothing is DNS, or with TCP, from 10.0.0.1 to 10.0.0.2. */
const udp = Uint8Array.from(
  Buffer.from(
    '00163e00000200163e00000108004500002000010000401166ca0a0000010a000002' +
      '9c40003500' +
      '0c00000000' + // no checksum
      '0001',
    'hex',
  ),
);
const tcp = Uint8Array.from(
  Buffer.from(
    '00163e00000200163e00000108004500002800010000400666cd0a0000010a000002' +
      '9c4000500102030405060708501002000000' + // blank
      '0000',
    'hex',
  ),
);

it.skipIf(!hasTshark)(
  'tshark sees a wrong checksum and a malformed packet, and a capture of ours sums up',
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tshark-'));
    const file = join(directory, 'x.pcapng');
    const parts: Uint8Array[] = [];
    let now = 0;
    const clock = { now: () => (now += 1e6), after: () => () => {}, completion: () => {} };
    const port = new Capture({ clock, write: (bytes) => parts.push(bytes) }).tap(
      { send() {}, connect() {} },
      'x',
    );
    port.send({ data: tcp, checksum: 'blank' });
    port.send({ data: tcp });
    port.send({ data: udp });
    writeFileSync(file, Buffer.concat(parts));
    expect(tsharkOpinion(file)).toEqual({ frames: 3, good: 1, bad: 1, malformed: 1 });
    rmSync(directory, { recursive: true });
  },
);
