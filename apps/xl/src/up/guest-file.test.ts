import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { GuestFiles } from './guest-file.js';

const images = fileURLToPath(new URL('../../../../packages/guest-kernels/images', import.meta.url));
const read = async (...lines: string[]) => {
  const text = ['name = "a"', 'type = "pv"', 'kernel = "hello.elf"', ...lines].join('\n');
  return (await new GuestFiles().parse(text, 'a.cfg', images)).config;
};

it('network interfaces are those of the list, one with nothing said, too', async () => {
  expect(await read()).not.toHaveProperty('vifs');
  const { vifs } = await read('vif = [ "", "bridge=lan,rate=1MB/s@20ms" ]');
  expect(vifs).toEqual([{}, { bridge: 'lan', rate: { bytes: 20_000, intervalUs: 20_000 } }]);
  await expect(read('vif = [ "backend=router" ]')).rejects.toThrow('there is no domain "router"');
});

it('limits of grants are the domain’s', async () => {
  expect((await read()).grants).toEqual({});
  const { grants } = await read('max_grant_frames = 4', 'max_maptrack_frames = 0', 'max_grant_version = 1');
  expect(grants).toEqual({ maxFrames: 4, maxMaptrackFrames: 0, maxVersion: 1 });
});
