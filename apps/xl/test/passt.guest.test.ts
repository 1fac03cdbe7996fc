import { afterEach, describe, expect, it } from 'vitest';
import { Machine } from './debian-machine.js';
import { freePort, hasPasst, isListening } from './outside.js';
import { kernels } from './xenolith.js';

describe.skipIf(!hasPasst)('passt, as the command line starts it (apt install passt)', () => {
  let machine: Machine | undefined;
  afterEach(() => machine?.kill());

  const start = async (): Promise<number> => {
    const forwarded = await freePort();
    machine = new Machine(['run', kernels.demo, '--vif', `type=passt,restrict=1,tcp=${forwarded}:80`]);
    await machine.expect(/demo> $/);
    expect(await isListening(forwarded)).toBe(true);
    return forwarded;
  };
  const ends = async (port: number): Promise<void> => {
    for (let i = 0; i < 500 && (await isListening(port)); i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await isListening(port)).toBe(false);
  };

  it('ends with the guest', async () => {
    const forwarded = await start();
    machine!.type('poweroff\r');
    expect((await machine!.end()).status).toBe(0);
    await ends(forwarded);
  });

  it('ends with a host that is killed', async () => {
    const forwarded = await start();
    machine!.kill();
    await ends(forwarded);
  });
});
