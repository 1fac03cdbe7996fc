/** How a host lives in the event loop of the program around it. */
export interface EventLoop {
  /** Resolves after everything else that waits in the event loop had its turn. */
  turn(): Promise<void>;
  /** Calls `done` after some milliseconds (0 … 2^31−1), unless the function that it returns is called first. */
  after(ms: number, done: () => void): () => void;
}

/** The longest delay that timers of browsers and Node take. */
export const LONGEST_SLEEP_MS = 0x7fff_ffff;

/**
 * For browsers, and for Node where nothing better is given. A message to oneself lets other work in but is not slowed
 * down as nested timers are.
 */
export function webEventLoop(): EventLoop {
  return {
    turn: () =>
      new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
          port1.close();
          resolve();
        };
        port2.postMessage(undefined);
      }),
    after(ms, done) {
      const timer = setTimeout(done, ms);
      return () => clearTimeout(timer);
    },
  };
}
