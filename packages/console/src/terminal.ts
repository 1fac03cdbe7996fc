import type { EventChannels } from '@xenolith/guest-api';
import type { RingMemory } from '@xenolith/shared-ring';
import { ConsoleFrontend } from './console-frontend.js';

const CTRL_C = 3;
const BACKSPACE = [8, 127];
const ENTER = [10, 13];
/** As in a terminal of Linux (canonical mode). */
const MAX_LINE = 4095;

/** A guest's console as its programs want it: text out, lines in, with the echo of what is typed. */
export class Terminal {
  private readonly frontend: ConsoleFrontend;
  private unsent = new Uint8Array(0);
  private typed: number[] = [];
  private readonly lines: string[] = [];
  private reader: ((line: string) => void) | undefined;
  private onDrained: (() => void) | undefined;

  /** @param port the guest's console port */
  constructor(page: RingMemory, port: number, eventChannels: Pick<EventChannels, 'send' | 'onEvent'>) {
    this.frontend = new ConsoleFrontend(page, () => void eventChannels.send(port));
    eventChannels.onEvent(port, () => this.service());
  }

  /** Prints; `\n` begins a line. What the ring has no room for waits. */
  print(text: string): void {
    this.put(new TextEncoder().encode(text.replaceAll('\n', '\r\n')));
  }

  /** Prints `prompt` and waits for a line; Ctrl-C gives an empty one. One reader at a time. */
  readLine(prompt = ''): Promise<string> {
    this.print(prompt);
    return new Promise((resolve) => {
      this.reader = resolve;
      this.service();
    });
  }

  /** Resolves when all that was printed has left this end. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.onDrained = resolve;
      this.flush();
    });
  }

  private put(bytes: Uint8Array): void {
    const all = new Uint8Array(this.unsent.length + bytes.length);
    all.set(this.unsent);
    all.set(bytes, this.unsent.length);
    this.unsent = all;
    this.flush();
  }

  private service(): void {
    this.flush();
    while (this.reader && this.lines.length === 0) {
      const input = this.frontend.read();
      if (input.length === 0) return;
      for (const byte of input) this.type(byte);
    }
    const { reader } = this;
    if (!reader) return;
    this.reader = undefined;
    reader(this.lines.shift()!);
  }

  private type(byte: number): void {
    if (ENTER.includes(byte) || byte === CTRL_C) {
      const line = byte === CTRL_C ? [] : this.typed;
      this.typed = [];
      this.lines.push(new TextDecoder().decode(Uint8Array.from(line)));
      this.print(byte === CTRL_C ? '^C\n' : '\n');
    } else if (BACKSPACE.includes(byte)) {
      if (this.typed.pop() !== undefined) this.print('\b \b');
    } else if (byte >= 32 && this.typed.length < MAX_LINE) {
      this.typed.push(byte);
      this.put(Uint8Array.of(byte));
    }
  }

  private flush(): void {
    if (this.unsent.length > 0) this.unsent = this.unsent.slice(this.frontend.write(this.unsent));
    if (this.unsent.length > 0) return;
    this.onDrained?.();
    this.onDrained = undefined;
  }
}
