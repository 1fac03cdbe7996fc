import { createHost, type KernelGuest } from '@xenolith/host';
import { connectWebSocketPort, firstInterface, Station } from '@xenolith/netback';

const ADDRESSES = ['10.0.0.1', '10.0.0.2'] as const;

/** Two guests, each with a cable of its own to a relay for raw frames. @returns which pings were answered */
export async function pingThroughRelay(url: string): Promise<boolean[]> {
  const host = await createHost({ memoryMiB: 16 });
  const answers: boolean[] = [];
  const [isThere, come] = gate();
  const [isDone, finish] = gate();
  const station = async (guest: KernelGuest, address: string) => {
    const network = await firstInterface(guest);
    return new Station({ clock: guest.clock, mac: network.mac, address, port: network });
  };
  const add = async (name: string, kernel: (guest: KernelGuest) => Promise<void>) => {
    const port = await connectWebSocketPort(url, { clock: host.dom0.clock });
    return host.createNativeDomain({ name, kernel, vifs: [{ port }] });
  };
  const guests = [
    await add('answers', async (guest) => {
      await station(guest, ADDRESSES[0]);
      come();
      await isDone;
    }),
    await add('asks', async (guest) => {
      const self = await station(guest, ADDRESSES[1]);
      await isThere;
      for (const bytes of [56, 1472])
        answers.push((await self.ping(ADDRESSES[0], { bytes, timeoutNs: 20e9 })) !== undefined);
      finish();
    }),
  ];
  await host.run();
  for (const guest of guests) {
    const { reason, error } = await guest.ended;
    if (reason !== 'poweroff') throw error;
  }
  return answers;
}

function gate(): [Promise<void>, () => void] {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return [opened, open];
}
