import type { KernelGuest, NativeConfig } from '@xenolith/host';
import { firstInterface, Station } from '@xenolith/netback';

const MS = 1_000_000;
const PINGS = 50;

/** What one machine found out about another. */
export interface Series {
  from: string;
  to: string;
  sent: number;
  /** Round trips of those that were answered, in milliseconds. */
  answers: number[];
}

const sleep = ({ clock }: KernelGuest, ns: number) => new Promise<void>((done) => clock.after(ns, done));

/** The kernel of a machine that pings all others, and answers until it is told to shut down. */
export function machine(
  address: string,
  others: readonly string[],
  onDone: (series: Series[]) => void,
): NativeConfig['kernel'] {
  return async (guest) => {
    const network = await firstInterface(guest);
    const station = new Station({ clock: guest.clock, mac: network.mac, address, port: network });
    // Until the others are there, too.
    await sleep(guest, 100 * MS);
    const all: Series[] = [];
    for (const to of others) {
      const series: Series = { from: address, to, sent: PINGS, answers: [] };
      for (let i = 0; i < PINGS; i++) {
        const time = await station.ping(to, { timeoutNs: 200 * MS });
        if (time !== undefined) series.answers.push(time / MS);
        await sleep(guest, 10 * MS);
      }
      all.push(series);
    }
    onDone(all);
    await guest.xenstore.wait('control/shutdown', (order) => order === 'poweroff');
  };
}
