import type { Guest } from '@xenolith/guest-api';
import {
  type BackendDriver,
  type FrontendDriver,
  GrantedBuffer,
  GrantedPages,
  XenbusError,
  XenbusState,
} from '@xenolith/xenbus';

/** `vrng`: the frontend grants a page, whose byte 0 counts the random bytes that it wants behind it. */
export const vrngBackend = (guest: Guest): BackendDriver => ({
  type: 'vrng',
  async probe(end) {
    await end.own.write({ 'max-bytes': 255 });
    let page: GrantedPages | undefined;
    let port = -1;
    return {
      // The frontend has written its page and port, and waits.
      async connect() {
        page = GrantedPages.map(guest.grants, end.otherId, [await end.other.number('page-ref')]);
        port = guest.eventChannels.bindInterdomain(end.otherId, await end.other.number('event-channel'));
        if (port < 0) throw new XenbusError('EINVAL', `the event channel cannot be bound: ${port}`);
        guest.eventChannels.onEvent(port, () => {
          if (!page?.live) return;
          const wanted = page.readU8(0);
          if (wanted === 0) return;
          page.write(0, Uint8Array.of(0, ...crypto.getRandomValues(new Uint8Array(wanted))));
          guest.eventChannels.send(port);
        });
      },
      // It closes, has died, or starts again.
      async disconnect() {
        page?.unmap();
        guest.eventChannels.close(port);
      },
    };
  },
});

/** Random bytes from whoever serves them. */
export type RandomSource = (count: number) => Promise<Uint8Array>;

/** @param onSource is told when a device may be used, and with undefined when it is gone */
export const vrngFrontend = (
  guest: Guest,
  onSource: (id: string, source: RandomSource | undefined) => void,
): FrontendDriver => ({
  type: 'vrng',
  async probe(end) {
    const { eventChannels } = guest;
    let shared: GrantedBuffer | undefined;
    let port = -1;
    return {
      // The backend waits.
      async setUp() {
        shared = GrantedBuffer.allocate(guest, end.otherId);
        port = eventChannels.allocUnbound(end.otherId);
        await end.own.write({ 'page-ref': shared.ref, 'event-channel': port });
        return XenbusState.initialised;
      },
      async connected() {
        const max = await end.other.number('max-bytes', 255);
        const { page } = shared!;
        onSource(end.identity.id, (count) => {
          if (count > max) throw new RangeError(`${end.name} gives at most ${max} bytes, not ${count}.`);
          return new Promise((resolve) => {
            eventChannels.onEvent(port, () => page.readU8(0) === 0 && resolve(page.read(1, count)));
            page.writeU8(0, count);
            eventChannels.send(port);
          });
        });
      },
      async disconnect() {
        onSource(end.identity.id, undefined);
        eventChannels.close(port);
        shared?.free();
      },
    };
  },
});
