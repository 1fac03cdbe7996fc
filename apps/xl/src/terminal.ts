import type { ReadStream, WriteStream } from 'node:tty';

/** Ctrl-] as telnet and `xl console` have it. */
const LEAVE = 0x1d;
const ESCAPE = 0x1b;
const NEWLINE = 0x0a;
/** Attributes off, cursor shown: what a guest that stops in the middle may have left. */
const TIDY = '\x1b[0m\x1b[?25h';

/** Attributes off, and nothing left on the screen and above it. */
const CLEAR = '\x1b[0m\x1b[H\x1b[2J\x1b[3J';

export interface TerminalOptions {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
  /** Console input from the person, or from a pipe. @returns how many bytes were taken */
  onInput(bytes: Uint8Array): number;
  /** Ctrl-] was typed, or with `onCommand` Ctrl-] and `q`. */
  onLeave(): void;
  /** The key that was typed after Ctrl-]; without it Ctrl-] alone leaves. */
  onCommand?(key: number): void;
  /** Nobody reads the output any more. */
  onOutputClosed(): void;
}

/** Signals that end the command, with 128 and their number as its status. */
export const ENDING_SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * The guest's console on standard input and output. A terminal is in raw mode between `open` and `close`; it is given
 * back however the process ends. Input that is no terminal is passed on as it comes; its end means nothing.
 */
export class Terminal {
  private raw = false;
  private opened = false;
  private scripted = false;
  private sawEscape = false;
  private lineOpen = false;
  private commandNext = false;
  private unsent: Uint8Array = new Uint8Array(0);

  constructor(private readonly options: TerminalOptions) {}

  /** Whether a person is typing. */
  get interactive(): boolean {
    return this.options.input.isTTY === true;
  }

  /** Begins to pass on input: `script` if it is given, else what comes from `input`. */
  open(script?: Uint8Array): void {
    const { input, output } = this.options;
    this.opened = true;
    output.on('error', this.onOutputError);
    process.on('exit', this.onExit);
    for (const signal of Object.keys(ENDING_SIGNALS)) process.on(signal, this.onSignal);
    if (script) {
      this.scripted = true;
      this.pass(script);
      return;
    }
    if (this.interactive) {
      (input as ReadStream).setRawMode(true);
      this.raw = true;
    }
    input.on('data', this.onData);
    // Where standard input is closed or broken, there is just no input.
    input.on('error', ignore);
  }

  /** Bytes from the guest, as they are. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.sawEscape ||= bytes.includes(ESCAPE);
    this.lineOpen = bytes.at(-1) !== NEWLINE;
    this.options.output.write(bytes);
  }

  /** Empties the screen. */
  clear(): void {
    this.options.output.write(CLEAR);
    this.lineOpen = false;
  }

  /** A line for the person among what the guest prints, where a terminal is. */
  bar(text: string): void {
    // A terminal may not know its size.
    const columns = (this.options.output as WriteStream).columns || 80;
    this.options.output.write(
      `${this.lineOpen ? '\r\n' : ''}\x1b[0;7m ${text.slice(0, columns - 2)} \x1b[0m\r\n`,
    );
    this.lineOpen = false;
  }

  /** A line for the person, on standard error. */
  say(line: string): void {
    const both = (this.options.output as WriteStream).isTTY && process.stderr.isTTY;
    if (both && this.lineOpen) process.stderr.write('\r\n');
    if (both) this.lineOpen = false;
    const raw = this.raw && process.stderr.isTTY;
    process.stderr.write(raw ? `${line.replaceAll('\n', '\r\n')}\r\n` : `${line}\n`);
  }

  /** The guest takes input again. */
  resume(): void {
    if (!this.opened) return;
    const waiting = this.unsent;
    this.unsent = new Uint8Array(0);
    if (waiting.length > 0) this.pass(waiting);
    if (this.unsent.length === 0 && !this.scripted) this.options.input.resume();
  }

  /** Gives the terminal back. */
  close(): void {
    if (!this.opened) return;
    this.opened = false;
    const { input } = this.options;
    if (!this.scripted) {
      input.off('data', this.onData);
      input.pause();
    }
    process.off('exit', this.onExit);
    for (const signal of Object.keys(ENDING_SIGNALS)) process.off(signal, this.onSignal);
    this.restore();
  }

  private restore(): void {
    if (this.raw) {
      this.raw = false;
      try {
        (this.options.input as ReadStream).setRawMode(false);
      } catch {
        // The terminal is gone.
      }
    }
    const { output } = this.options;
    if (!(output as WriteStream).isTTY) return;
    if (this.sawEscape) output.write(TIDY);
    if (this.lineOpen) output.write('\r\n');
    this.sawEscape = this.lineOpen = false;
  }

  private readonly onData = (bytes: Buffer): void => {
    if (!this.interactive) {
      this.pass(bytes);
      return;
    }
    for (let rest: Uint8Array = bytes; rest.length > 0 && this.opened; ) {
      if (this.commandNext) {
        this.commandNext = false;
        this.command(rest[0]!);
        rest = rest.subarray(1);
        continue;
      }
      const at = rest.indexOf(LEAVE);
      this.pass(at < 0 ? rest : rest.subarray(0, at));
      if (at < 0) return;
      if (!this.options.onCommand) {
        this.options.onLeave();
        return;
      }
      this.commandNext = true;
      rest = rest.subarray(at + 1);
    }
  };

  private command(key: number): void {
    if (String.fromCharCode(key) === 'q') this.options.onLeave();
    else this.options.onCommand?.(key);
  }

  private pass(bytes: Uint8Array): void {
    const taken = this.options.onInput(bytes);
    if (taken === bytes.length) return;
    const rest = bytes.slice(taken);
    // What a person types into a guest that has not read 64 KiB is lost; a pipe waits.
    if (this.interactive && !this.scripted) return;
    this.unsent = rest;
    if (!this.scripted) this.options.input.pause();
  }

  private readonly onOutputError = (): void => this.options.onOutputClosed();
  private readonly onExit = (): void => this.restore();
  private readonly onSignal = (signal: string): void => {
    this.close();
    process.exit(128 + ENDING_SIGNALS[signal as keyof typeof ENDING_SIGNALS]);
  };
}

const ignore = (): void => {};
