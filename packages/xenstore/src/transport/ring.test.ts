import type { Xenstore } from '@xenolith/guest-api';
import { viewMemory, XenstoreRing } from '@xenolith/shared-ring';
import {
  XENSTORE_CONNECTED,
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XENSTORE_RECONNECT,
  XENSTORE_SERVER_FEATURE_ERROR,
  XENSTORE_SERVER_FEATURE_RECONNECTION,
  XS_WATCH,
  XS_WRITE,
} from '@xenolith/xen-abi';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  LocalXenstore,
  RingClientTransport,
  RingConnection,
  XenstoreClient,
  XenstoreServer,
} from '../index.js';
import { encodeMessage } from '../wire/message.js';
import { toBytes } from '../wire/text.js';

function setup(prepare: (page: XenstoreRing) => void = () => {}) {
  const view = new DataView(new ArrayBuffer(4096));
  const page = new XenstoreRing(viewMemory(view));
  prepare(page);
  const server = new XenstoreServer();
  const tools = new LocalXenstore(server);
  tools.mkdir('/local/domain/1');
  tools.setPermissions('/local/domain/1', [{ domid: 1, access: 'n' }]);
  const state = { events: 0, live: true, closed: false };
  const ring = new RingConnection({
    server,
    domid: 1,
    page,
    notify: () => state.events++,
    live: () => state.live,
    closed: () => {
      state.closed = true;
    },
  });
  return { view, page, server, tools, ring, state };
}

const request = (type: number, body: string) =>
  encodeMessage({ type, requestId: 1, transactionId: 0, body: toBytes(body) });

describe('a domain on its ring', () => {
  it('is served by events alone, in both directions', async () => {
    const { page, tools, ring, state } = setup();
    // Each end's event is delivered a little later, as an interrupt would be.
    const transport = new RingClientTransport(page, () => queueMicrotask(() => ring.onEvent()));
    const delivered = setInterval(() => transport.onEvent(), 0);
    const client: Xenstore = new XenstoreClient(transport);
    const big = 'x'.repeat(1500);
    await Promise.all(Array.from({ length: 30 }, (_, i) => client.write(`n${i}`, `${i}${big}`)));
    const values = await Promise.all(Array.from({ length: 30 }, (_, i) => client.read(`n${i}`)));
    expect(values).toEqual(Array.from({ length: 30 }, (_, i) => `${i}${big}`));
    const watch = client.watch('shutdown');
    const seen: string[] = [];
    for await (const path of watch) {
      seen.push(path);
      if (seen.length === 1) tools.write('/local/domain/1/shutdown', 'poweroff');
      else break;
    }
    expect(seen).toEqual(['shutdown', 'shutdown']);
    expect(state.events).toBeGreaterThan(0);
    clearInterval(delivered);
  });

  it('starts with an empty ring, and says that it is connected', () => {
    const { page, state } = setup((fresh) => {
      fresh.requests.write(new Uint8Array(100));
      fresh.connection = XENSTORE_RECONNECT;
    });
    expect([page.requests.used(), page.connection, state.events]).toEqual([0, XENSTORE_CONNECTED, 1]);
  });

  it('offers to reconnect, which leaves nothing of before, and heals a broken ring', () => {
    const { view, page, ring, state, tools } = setup();
    expect(page.serverFeatures).toBe(XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
    const reconnect = () => {
      page.connection = XENSTORE_RECONNECT;
      ring.onEvent();
      return [page.connection, page.requests.used(), page.responses.used(), page.error];
    };
    page.requests.write(request(XS_WATCH, 'a\0t\0'));
    ring.onEvent();
    page.requests.write(request(XS_WRITE, 'half of a message').subarray(0, 20));
    ring.onEvent();
    const before = state.events;
    expect(reconnect()).toEqual([XENSTORE_CONNECTED, 0, 0, 0]);
    expect(state.events).toBe(before + 1);
    tools.write('/local/domain/1/a', 'x');
    expect(page.responses.used()).toBe(0);
    page.requests.write(request(XS_WRITE, 'b\0whole'));
    ring.onEvent();
    expect(tools.read('/local/domain/1/b')).toBe('whole');

    view.setUint32(2052, 5000, true);
    ring.onEvent();
    expect([page.error, ring.connection.open]).toEqual([XENSTORE_ERROR_RINGIDX, false]);
    expect(reconnect()).toEqual([XENSTORE_CONNECTED, 0, 0, 0]);
    page.requests.write(request(XS_WRITE, 'b\0again'));
    ring.onEvent();
    expect(tools.read('/local/domain/1/b')).toBe('again');
  });

  it('does not have to notify when nothing moved', () => {
    const { ring, state } = setup();
    ring.onEvent();
    expect(state.events).toBe(0);
  });

  it('is not asked for more while it does not read replies', () => {
    const { page, ring, tools } = setup();
    let sent = 0;
    // Each round fills the request ring; the replies are not read.
    for (let round = 0; round < 200; round++) {
      while (page.requests.free()! >= 64) {
        page.requests.write(request(XS_WRITE, `n${sent++ % 10}\0v`));
      }
      ring.onEvent();
    }
    expect(page.requests.free()).toBeLessThan(64);
    expect(sent).toBeLessThan(200);
    // Reading makes it go on.
    for (let i = 0; i < 200; i++) {
      page.responses.read();
      ring.onEvent();
    }
    expect(page.requests.used()).toBe(0);
    expect(tools.list('/local/domain/1')).toHaveLength(10);
  });

  it('hears of a change once, however often it happens unread', () => {
    const { page, ring, tools } = setup();
    page.requests.write(request(XS_WATCH, 'a\0t\0'));
    ring.onEvent();
    for (let i = 0; i < 1000; i++) tools.write('/local/domain/1/a', String(i));
    // The ring holds what fitted before it was full; behind it, one event waits.
    expect(ring.connection.outputBytes).toBeLessThan(2 * 20);
  });

  it('is dropped for impossible indices and for too much payload, and told why', () => {
    const bad = setup();
    bad.view.setUint32(2052, 5000, true);
    bad.ring.onEvent();
    expect([bad.page.error, bad.ring.connection.open]).toEqual([XENSTORE_ERROR_RINGIDX, false]);
    const long = setup();
    const header = request(XS_WRITE, '');
    header[13] = 0x20;
    long.page.requests.write(header);
    long.ring.onEvent();
    expect([long.page.error, long.ring.connection.open]).toEqual([XENSTORE_ERROR_PROTO, false]);
  });

  it('that is gone is left alone, also when others cause events for it', () => {
    const { view, page, ring, tools, state, server } = setup();
    page.requests.write(request(XS_WATCH, 'a\0t\0'));
    ring.onEvent();
    state.live = false;
    const before = new Uint8Array(view.buffer.slice(0));
    tools.write('/local/domain/1/a', 'x');
    ring.onEvent();
    expect(new Uint8Array(view.buffer)).toEqual(before);
    expect(ring.connection.open).toBe(false);
    server.domainDestroyed(1);
    expect(state.closed).toBe(true);
  });

  it('cannot harm the server with any bytes on its page', () => {
    const poke = fc.oneof(
      fc.record({ at: fc.nat(2047), value: fc.nat(255) }),
      fc.record({ at: fc.constantFrom(2048, 2052, 2056, 2060, 2064, 2068, 2072), value: fc.nat(2000) }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.array(poke, { maxLength: 20, size: 'max' }), { maxLength: 20, size: 'max' }),
        (rounds) => {
          const { view, ring, server, tools } = setup();
          for (const pokes of rounds) {
            for (const { at, value } of pokes) {
              if (at < 2048) view.setUint8(at, value);
              else view.setUint32(at, value, true);
            }
            ring.onEvent();
          }
          expect(server.check()).toEqual([]);
          expect(tools.list('/')).toContain('local');
        },
      ),
      { numRuns: 50 },
    );
  });
});
