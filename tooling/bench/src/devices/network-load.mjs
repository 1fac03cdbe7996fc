import { netBackend } from '@xenolith/netback';
import { encodeRxRequest, encodeTxRequest, RX_SLOT_SIZE, TX_SLOT_SIZE } from '@xenolith/netback/codec';
import { FrontRing } from '@xenolith/shared-ring';
import { GrantedBuffer, serveBackends } from '@xenolith/xenbus';
import { BACK, SyntheticHost } from './synthetic.mjs';

const DEPTH = 64;
const MORE_DATA = 4;

/**
 * netback alone between a frontend with frames of `length` bytes and a cable: frames a second of what it sends and of what
 * it gets, 64 at a time. Making and looking at them does not count.
 * @param {{ frames: number, length: number }} load
 * @returns {Promise<{ tx: number, rx: number }>}
 */
export async function networkRates({ frames, length }) {
  const host = await SyntheticHost.create();
  const { front, back } = host;
  let sent = 0;
  /** @type {import('@xenolith/netback').FrameReceiver | undefined} */
  let receive;
  const cable = {
    send: () => void sent++,
    connect: (/** @type {import('@xenolith/netback').FrameReceiver | undefined} */ receiver) => {
      receive = receiver;
    },
  };
  serveBackends(back, netBackend(back, { open: async () => cable }));
  const [txPage, rxPage] = [GrantedBuffer.allocate(front, BACK), GrantedBuffer.allocate(front, BACK)];
  const tx = new FrontRing(txPage.page, { slotSize: TX_SLOT_SIZE });
  const rx = new FrontRing(rxPage.page, { slotSize: RX_SLOT_SIZE });
  const pieces = Math.ceil(length / 4096);
  const depth = Math.floor(DEPTH / pieces);
  const buffers = Array.from({ length: depth * pieces }, () => GrantedBuffer.allocate(front, BACK));
  const port = front.eventChannels.allocUnbound(BACK);
  const nodes = {
    'tx-ring-ref': txPage.ref,
    'rx-ring-ref': rxPage.ref,
    'event-channel': port,
    'request-rx-copy': 1,
    'feature-rx-notify': 1,
    'feature-sg': 1,
  };
  await host.connect('vif', 0, nodes, { mac: '00:16:3e:00:00:01', handle: 0 });
  const seconds = { tx: 0, rx: 0 };
  const frame = { data: new Uint8Array(length).fill(0xff) };
  for (let done = 0; done < frames; done += depth) {
    for (const [i, { ref }] of buffers.entries()) {
      const piece = i % pieces;
      const flags = piece < pieces - 1 ? MORE_DATA : 0;
      const size = piece === 0 ? length : Math.min(4096, length - piece * 4096);
      tx.put(encodeTxRequest({ ref, offset: 0, flags, id: i, size }));
      rx.put(encodeRxRequest({ ref, id: i }));
    }
    tx.push();
    rx.push();
    seconds.tx += host.timed(() => front.eventChannels.send(port));
    seconds.rx += host.timed(() => {
      for (let i = 0; i < depth; i++) receive?.(frame);
    });
    for (const _ of buffers)
      if (!tx.take() || !rx.take()) throw new Error('netback has not answered a request');
    tx.finalCheck();
    rx.finalCheck();
  }
  if (sent < frames) throw new Error(`netback has sent ${sent} of ${frames} frames`);
  return { tx: frames / seconds.tx, rx: frames / seconds.rx };
}
