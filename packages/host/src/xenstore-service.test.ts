import { XenstoreRing } from '@xenolith/shared-ring';
import { GNTTAB_RESERVED_XENSTORE } from '@xenolith/xen-abi';
import { connectInMemory, RingClientTransport, XenstoreClient } from '@xenolith/xenstore';
import { describe, expect, it } from 'vitest';
import { createHost } from './host.js';
import { createNativeGuest } from './native-guest.js';

/** A domain with a xenstore page, and domain 0's tools, which introduce it over the protocol. */
async function setUp() {
  const host = await createHost({ memoryMiB: 4, clock: 'virtual', strict: true });
  const guest = createNativeGuest(host.hypervisor, { domid: 7 });
  const page = guest.memory.allocate()!;
  host.hypervisor.grants.writeEntry(7, GNTTAB_RESERVED_XENSTORE, 0, page.gfn);
  const tools = new XenstoreClient(connectInMemory(host.xenstore.server));
  /** A new port, and a client that uses it. */
  const connect = () => {
    const port = guest.eventChannels.allocUnbound(0);
    const transport = new RingClientTransport(
      new XenstoreRing(page),
      () => void guest.eventChannels.send(port),
    );
    guest.eventChannels.onEvent(port, () => transport.onEvent());
    return { port, client: new XenstoreClient(transport) };
  };
  const during = async <T>(work: Promise<T>): Promise<T> => {
    for (let i = 0; i < 10; i++) {
      host.hypervisor.run(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return work;
  };
  return { host, guest, tools, connect, during };
}

const portsOf = (host: Awaited<ReturnType<typeof createHost>>) => host.hypervisor.events.list(0).length;

describe('INTRODUCE', () => {
  it('serves a domain', async () => {
    const { tools, connect, during } = await setUp();
    const { port, client } = connect();
    await tools.introduce(7, 0, port);
    expect(await tools.isDomainIntroduced(7)).toBe(true);
    expect(await during(client.getDomainPath(7))).toBe('/local/domain/7');
  });

  it('again gives it another port, and gives the old one back', async () => {
    const { host, guest, tools, connect, during } = await setUp();
    const first = connect();
    await tools.introduce(7, 0, first.port);
    const ports = portsOf(host);
    // The domain's kernel begins anew, as after a kexec: its ports are gone.
    guest.eventChannels.close(first.port);
    const second = connect();
    await tools.introduce(7, 0, second.port);
    expect(await during(second.client.getDomainPath(7))).toBe('/local/domain/7');
    expect(portsOf(host)).toBe(ports);
    await tools.release(7);
    expect(portsOf(host)).toBe(ports - 1);
    host.hypervisor.checks?.everything();
  });

  it('of a port that cannot be bound is an error the first time, and then leaves it without events', async () => {
    const { host, tools, connect, during } = await setUp();
    await expect(tools.introduce(7, 0, 99)).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(tools.introduce(9, 0, 1)).rejects.toMatchObject({ code: 'EINVAL' });
    expect(portsOf(host)).toBe(0);
    await tools.introduce(7, 0, connect().port);
    await tools.introduce(7, 0, 99);
    expect(portsOf(host)).toBe(0);
    const { port, client } = connect();
    await tools.introduce(7, 0, port);
    expect(await during(client.getDomainPath(7))).toBe('/local/domain/7');
  });
});
