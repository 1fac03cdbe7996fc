import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { GuestFiles } from './guest-file.js';

const images = fileURLToPath(new URL('../../../../packages/guest-kernels/images', import.meta.url));
const read = (...lines: string[]) => {
  const text = ['name = "a"', 'type = "pv"', 'kernel = "hello.elf"', ...lines].join('\n');
  return new GuestFiles().parse(text, 'a.cfg', images);
};

it('network interfaces are those of the list, one with nothing said, too', () => {
  expect(read().devices.vifs).toEqual([]);
  expect(read('vif = [ "", "bridge=lan,rate=1MB/s@20ms" ]').devices.vifs).toEqual([
    {},
    { bridge: 'lan', rate: { bytes: 20_000, intervalUs: 20_000 } },
  ]);
});

it('devices of a driver domain name it', () => {
  const { config, devices } = read('driver_domain = 1', 'vif = [ "backend=router" ]');
  expect(config).toMatchObject({ driverDomain: true });
  expect(devices.vifs).toEqual([{ backend: 'router' }]);
});

it('limits of grants are the domain’s', () => {
  expect(read().config.grants).toEqual({});
  const { grants } = read('max_grant_frames = 4', 'max_maptrack_frames = 0', 'max_grant_version = 1').config;
  expect(grants).toEqual({ maxFrames: 4, maxMaptrackFrames: 0, maxVersion: 1 });
});
