import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDiskSpec } from './disk-spec.js';

const disk = {
  format: 'raw',
  vdev: 'xvda',
  readonly: false,
  cdrom: false,
  discard: true,
  trusted: true,
  target: '/a.img',
};

describe('disks as xl-disk-configuration(5) describes them', () => {
  it.each([
    ['/a.img,raw,xvda,rw', disk],
    ['/a.img,,xvda', disk],
    ['/a.img, raw, xvda, w', disk],
    ['format=raw, vdev=xvda, access=rw, target=/a.img', disk],
    ['vdev=xvda,target=/a,b, c.img', { ...disk, target: '/a,b, c.img' }],
    ['/a.qcow2,qcow2,hda,r', { ...disk, format: 'qcow2', vdev: 'hda', readonly: true, target: '/a.qcow2' }],
    [',,hdc,,cdrom', { ...disk, target: '', vdev: 'hdc', readonly: true, cdrom: true }],
    [
      '/cd.iso,raw,hdc,devtype=cdrom',
      { ...disk, target: '/cd.iso', vdev: 'hdc', readonly: true, cdrom: true },
    ],
    ['file:/a.img,xvda,w'.replace('xvda,w', ',xvda,w'), disk],
    ['tap:qcow2:/a.img,,xvda,w', { ...disk, format: 'qcow2' }],
    ['https://host/a.img,raw,xvda,ro', { ...disk, target: 'https://host/a.img', readonly: true }],
    [
      '/dev/vg/a,raw,xvdb,rw,backend=store,no-discard',
      { ...disk, target: '/dev/vg/a', vdev: 'xvdb', backend: 'store', discard: false },
    ],
    [
      'backend=store,script=block-iscsi,vdev=xvda,target=iqn=a,b',
      { ...disk, target: 'iqn=a,b', backend: 'store', script: 'block-iscsi' },
    ],
    ['/a.img,raw,xvda,rw,backend=Domain-0', disk],
    ['/a.img,raw,xvda,rw,trusted', disk],
    ['/a.img,raw,xvda,rw,untrusted', { ...disk, trusted: false }],
  ])('%s', (text, expected) => expect(parseDiskSpec(text)).toEqual(expected));

  it.each([
    ['/a.img', 'has no vdev'],
    ['/a.img,raw,vda', "'vda' is no virtual device"],
    ['/a.img,raw,xvda,x', 'the access is ro or rw, not "x"'],
    ['/a.img,ext4,xvda', 'the format is one of raw, qcow2'],
    [',raw,xvda', 'has no target'],
    ['/a.img,raw,xvda,rw,more', '"more" is one part too many'],
    ['/a.img,raw,xvda,rw,bakend=1', 'did you mean "backend"?'],
    ['/a.iso,raw,hdc,rw,cdrom', 'read-only'],
    ['/a.img,raw,xvda,rw,script=block-iscsi', 'no block scripts but in a driver domain'],
    ['/a.img,qcow2,xvda,rw,backend=store', 'for the format qcow2 it would need QEMU'],
  ])('%s is refused: %s', (text, problem) => expect(() => parseDiskSpec(text)).toThrow(problem));

  it('property: any text is a disk or is refused with a reason', () => {
    const word = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom('raw', 'xvda', 'rw', 'target=', 'vdev=xvda', 'cdrom'),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (words) => {
        try {
          expect(parseDiskSpec(words.join(',')).vdev).not.toBe('');
        } catch (error) {
          expect((error as Error).name).toBe('BadInputError');
        }
      }),
    );
  });
});
