import type { EventLoop } from '../event-loop.js';

/** For Node: a turn costs about a microsecond. */
export function nodeEventLoop(): EventLoop {
  return {
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    after(ms, done) {
      const timer = setTimeout(done, ms);
      return () => clearTimeout(timer);
    },
  };
}
