import type { Xenstore, XenstoreWatch } from '@xenolith/guest-api';
import type { Logger } from '@xenolith/host-interface';

/** Calls `onChange` with each path that a watch reports, until `close`. A watch that fails is told to the log. */
export class Watching {
  private readonly watch: XenstoreWatch;
  private closed = false;

  constructor(
    store: Xenstore,
    readonly path: string,
    log: Logger,
    private readonly onChange: (path: string) => void,
  ) {
    this.watch = store.watch(path);
    void this.run().catch((error: unknown) => {
      if (!this.closed) log.log('error', 'xenbus', `The watch on ${path} has failed: ${String(error)}.`);
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.watch.close();
  }

  private async run(): Promise<void> {
    for await (const path of this.watch) if (!this.closed) this.onChange(path);
  }
}
