import type { EventChannels, GrantMapping } from '@xenolith/guest-api';
import { ConsoleRing } from '@xenolith/shared-ring';

/** Where a guest's console goes. */
export interface ConsoleSink {
  /** Bytes that the guest printed; a copy that the sink may keep. Must not throw. */
  onOutput(bytes: Uint8Array): void;
  /** All input given so far has reached the guest, after a `send` that could not take everything. */
  onInputRoom?(): void;
}

export interface ConsoleBackendOptions {
  /** The guest's console page. */
  page: GrantMapping;
  /** The backend's own port, bound to the guest's console port. */
  port: number;
  eventChannels: Pick<EventChannels, 'send' | 'onEvent'>;
  sink: ConsoleSink;
  /** Bytes of input kept for a guest that does not read. Default 64 KiB. */
  maxPendingInput?: number;
}

/**
 * The console daemon's part of a PV console (io/console.h): takes what the guest printed as soon as it says so, and
 * gives it input as room appears. A guest that writes impossible indices is not served until they fit again, as
 * xenconsoled does; a guest that is gone is left alone.
 */
export class ConsoleBackend {
  private readonly ring: ConsoleRing;
  private readonly pending: Uint8Array[] = [];
  private pendingBytes = 0;
  private refused = false;
  private closed = false;

  constructor(private readonly options: ConsoleBackendOptions) {
    this.ring = new ConsoleRing(options.page);
    options.eventChannels.onEvent(options.port, () => this.service());
    this.service();
  }

  /** Input for the guest. @returns how many bytes were taken: fewer than given when the guest has stopped reading */
  send(bytes: Uint8Array): number {
    if (this.closed) return 0;
    const room = (this.options.maxPendingInput ?? 65536) - this.pendingBytes;
    const taken = bytes.slice(0, Math.max(0, room));
    if (taken.length > 0) this.pending.push(taken);
    this.pendingBytes += taken.length;
    if (taken.length < bytes.length) this.refused = true;
    this.service();
    return taken.length;
  }

  /** Moves all that can move now, and tells the guest if anything did. Also called on each event. */
  service(): void {
    if (this.closed || !this.options.page.live) return;
    // The output is handed on after the ring is left alone: a sink may call `send`.
    const output = this.ring.output.read() ?? new Uint8Array(0);
    const filled = this.fillInput();
    if (output.length > 0 || filled) this.options.eventChannels.send(this.options.port);
    if (output.length > 0) this.options.sink.onOutput(output);
    if (this.refused && this.pendingBytes === 0) {
      this.refused = false;
      this.options.sink.onInputRoom?.();
    }
  }

  /** Takes the guest's last words and stops. */
  close(): void {
    if (this.closed) return;
    this.service();
    this.closed = true;
    this.options.eventChannels.onEvent(this.options.port, undefined);
  }

  private fillInput(): boolean {
    let moved = false;
    while (this.pending.length > 0) {
      const chunk = this.pending[0]!;
      const written = this.ring.input.write(chunk);
      if (!written) break;
      moved = true;
      this.pendingBytes -= written;
      if (written < chunk.length) this.pending[0] = chunk.subarray(written);
      else this.pending.shift();
    }
    return moved;
  }
}
