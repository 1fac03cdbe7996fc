import type { EventLoop } from '@xenolith/host';

/** Node's event loop; a turn costs about a microsecond. */
export const nodeEventLoop: EventLoop = {
  turn: () => new Promise((resolve) => setImmediate(resolve)),
  after(ms, done) {
    const timer = setTimeout(done, ms);
    return () => clearTimeout(timer);
  },
};
