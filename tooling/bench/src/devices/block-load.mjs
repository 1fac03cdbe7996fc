import { blockBackend, MemoryDevice } from '@xenolith/blkback';
import { encodeRequest, slotSize } from '@xenolith/blkback/codec';
import { FrontRing } from '@xenolith/shared-ring';
import { x86_64 } from '@xenolith/xen-abi';
import { GrantedBuffer, serveBackends } from '@xenolith/xenbus';
import { BACK, SyntheticHost } from './synthetic.mjs';

const DISK = 16 << 20;

/**
 * blkback alone, on a disk in memory: seconds that it needs for each request of `segments` pages, `depth` of them at a time.
 * Making the requests and looking at the answers does not count.
 * @param {{ requests: number, depth: number, segments: number, kind: 'read' | 'write', persistent: boolean }} load
 * @returns {Promise<number>} requests a second
 */
export async function blockRate({ requests, depth, segments, kind, persistent }) {
  const host = await SyntheticHost.create();
  const { front, back } = host;
  serveBackends(back, blockBackend(back, { open: async () => new MemoryDevice(DISK) }));
  const page = GrantedBuffer.allocate(front, BACK);
  const ring = new FrontRing(page.page, { slotSize: slotSize(x86_64) });
  const buffers = Array.from({ length: depth * segments }, () => GrantedBuffer.allocate(front, BACK));
  const port = front.eventChannels.allocUnbound(BACK);
  const nodes = {
    'ring-ref': page.ref,
    'event-channel': port,
    protocol: 'x86_64-abi',
    'feature-persistent': Number(persistent),
  };
  await host.connect('vbd', 51712, nodes, { params: 'memory', mode: 'w' });
  const blocks = DISK / 4096 - segments;
  let seconds = 0;
  for (let done = 0; done < requests; done += depth) {
    for (let i = 0; i < depth; i++) {
      const sector = BigInt(((done + i) * 7919) % blocks) * 8n;
      const pages = buffers.slice(i * segments, (i + 1) * segments);
      const request = {
        kind,
        id: BigInt(i),
        sector,
        segments: pages.map(({ ref }) => ({ ref, first: 0, last: 7 })),
        claimed: segments,
      };
      ring.put(encodeRequest(request, 51712, x86_64));
    }
    ring.push();
    seconds += host.timed(() => front.eventChannels.send(port));
    for (let i = 0; i < depth; i++) if (!ring.take()) throw new Error('blkback has not answered a request');
    ring.finalCheck();
  }
  return requests / seconds;
}
