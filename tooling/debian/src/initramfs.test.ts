import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { buildInitramfs } from './initramfs.mjs';

const parts = {
  busybox: Buffer.from('\x7fELF'),
  applets: ['busybox', 'sh', '['],
  init: Buffer.from('#!/bin/sh\n'),
};

/** Names of the members, in order. */
function names(archive: Buffer): string[] {
  const found = [];
  for (let at = 0; at < archive.length; ) {
    const size = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const name = archive.toString('latin1', at + 110, at + 110 + size(11) - 1);
    found.push(name);
    const data = (at + 110 + size(11) + 3) & ~3;
    at = (data + size(6) + 3) & ~3;
  }
  return found;
}

it('holds busybox, a link for every other applet, the devices, /init and what is added', () => {
  const archive = gunzipSync(
    buildInitramfs({ ...parts, extra: [{ type: 'file', path: 'root/more', data: Buffer.from('x') }] }),
  );
  const found = names(archive);
  for (const name of [
    'bin/busybox',
    'bin/sh',
    'bin/[',
    'dev/console',
    'dev/urandom',
    'proc',
    'init',
    'root/more',
  ]) {
    expect(found).toContain(name);
  }
  expect(found.filter((name) => name === 'bin/busybox')).toHaveLength(1);
  expect(found.at(-1)).toBe('TRAILER!!!');
});

it('gives the same bytes for the same parts', () => {
  expect(buildInitramfs(parts).equals(buildInitramfs(parts))).toBe(true);
});
