import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fabric } from '@xenolith/xenbus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packet } from '../frame/testing.js';
import { Capture } from '../ports/capture.js';
import { echoPort } from '../testing/net-pair.js';
import { captureFile } from './capture-file.js';

const { clock } = new Fabric().addGuest(1);
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'capture-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('a capture in a file', () => {
  it('is what the capture writes, at once', () => {
    const path = join(directory, 'a.pcapng');
    const pieces: Uint8Array[] = [];
    const expected = new Capture({ clock, write: (bytes) => pieces.push(bytes) });
    const { capture, close } = captureFile(path, { clock });
    for (const one of [expected, capture]) {
      const port = one.tap(echoPort(), 'vif1.0');
      port.connect(() => {});
      port.send({ data: packet() });
    }
    expect(readFileSync(path)).toEqual(Buffer.concat(pieces));
    close();
  });

  it('ends, and says so once, when the disk is full; frames go on', () => {
    const log: string[] = [];
    const { capture } = captureFile('/dev/full', {
      clock,
      log: { log: (_level, _part, text) => log.push(text) },
    });
    const port = capture.tap(echoPort(), 'vif1.0');
    let got = 0;
    port.connect(() => got++);
    for (let i = 0; i < 3; i++) port.send({ data: packet() });
    expect(log).toEqual([expect.stringMatching(/^The capture \/dev\/full ends here: ENOSPC/)]);
    expect(got).toBe(3);
  });
});
