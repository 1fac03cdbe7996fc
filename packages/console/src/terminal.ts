import type { EventChannels } from '@xenolith/guest-api';
import type { RingMemory } from '@xenolith/shared-ring';
import { ConsoleFrontend } from './console-frontend.js';

const CTRL_C = 3;
const CTRL_D = 4;
const BACKSPACE = [8, 127];
const ENTER = [10, 13];
/** As in a terminal of Linux (canonical mode). */
const MAX_LINE = 4095;

/** A guest's console as its programs want it: text out, lines in, with the echo of what is typed. */
export class Terminal {
  private readonly frontend: ConsoleFrontend;
  private unsent = new Uint8Array(0);
  /** What was taken from the ring, and how much of it was looked at. */
  private input: Uint8Array = new Uint8Array(0);
  private at = 0;
  private typed: number[] = [];
  private reader: ((line: string | undefined) => void) | undefined;
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

  /**
   * Prints `prompt` and waits for a line. One reader at a time.
   * @returns the line, empty after Ctrl-C; undefined after Ctrl-D at its beginning
   */
  readLine(prompt = ''): Promise<string | undefined> {
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

  /** Takes what was typed as somebody wants to read it, so that its echo stands behind the prompt. */
  private service(): void {
    this.flush();
    while (this.reader) {
      if (this.at >= this.input.length) {
        this.input = this.frontend.read();
        this.at = 0;
      }
      const byte = this.input[this.at++];
      if (byte === undefined) break;
      this.type(byte);
    }
  }

  private type(byte: number): void {
    if (ENTER.includes(byte)) {
      this.print('\n');
      this.answer(new TextDecoder().decode(Uint8Array.from(this.typed)));
    } else if (byte === CTRL_C) {
      this.print('^C\n');
      this.answer('');
    } else if (byte === CTRL_D && this.typed.length === 0) {
      this.print('\n');
      this.answer(undefined);
    } else if (BACKSPACE.includes(byte)) {
      if (this.typed.pop() !== undefined) this.print('\b \b');
    } else if (byte >= 32 && this.typed.length < MAX_LINE) {
      this.typed.push(byte);
      this.put(Uint8Array.of(byte));
    }
  }

  private answer(line: string | undefined): void {
    const { reader } = this;
    this.typed = [];
    this.reader = undefined;
    reader?.(line);
  }

  private flush(): void {
    if (this.unsent.length > 0) this.unsent = this.unsent.slice(this.frontend.write(this.unsent));
    if (this.unsent.length > 0) return;
    this.onDrained?.();
    this.onDrained = undefined;
  }
}
