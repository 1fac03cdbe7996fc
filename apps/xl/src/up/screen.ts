import { stateWord } from '../list-text.js';
import { Terminal } from '../terminal.js';
import type { Guest, Guests } from './guests.js';
import { KEYS_HELP } from './keys-help.js';

const ESCAPE_KEY = '\x1d';
const ESCAPE = '\x1b';
/** Questions to the terminal (where is the cursor, what are you), which it would answer to the wrong guest, and late. */
const QUESTIONS = new RegExp(`${ESCAPE}\\[[?>=]?[\\d;]*[nc]`, 'g');

const latin1 = new TextDecoder('latin1');

/** The consoles of several guests on one terminal, of which it shows one at a time. */
export class Screen {
  readonly terminal: Terminal;
  private shown: Guest | undefined;
  private unfollow = (): void => {};

  constructor(
    private readonly guests: () => Guests,
    ends: { onLeave(): void; onOutputClosed(): void },
  ) {
    this.terminal = new Terminal({
      input: process.stdin,
      output: process.stdout,
      onInput: (bytes) => this.shown?.domain.sendConsole(bytes) ?? bytes.length,
      onCommand: (key) => this.command(key),
      ...ends,
    });
  }

  /** Shows the guest if none is shown yet. */
  created(guest: Guest): void {
    if (this.shown) this.notice(`${title(guest)} is there`);
    else this.show(guest, false);
  }

  /** Shows another guest in the place of one that has ended. */
  ended(guest: Guest): void {
    if (this.shown !== guest) return;
    this.unfollow();
    this.shown = undefined;
    const [next] = this.guests().all;
    if (next) this.show(next, false);
  }

  /** A line of ours among what the guest prints. */
  notice(text: string): void {
    this.terminal.bar(text);
  }

  private show(guest: Guest, fresh = true): void {
    this.unfollow();
    this.shown = guest;
    if (fresh) this.terminal.clear();
    // A new one is paused for a moment only.
    const state = fresh ? `, ${this.state(guest)}` : '';
    this.notice(`${guest.slot} ${title(guest)}${state} │ Ctrl-] ? for help`);
    const recent = latin1.decode(guest.console.recent.bytes).replace(QUESTIONS, '');
    this.terminal.write(Uint8Array.from(recent, (char) => char.charCodeAt(0)));
    this.unfollow = guest.console.follow({
      write: (bytes) => this.terminal.write(bytes),
      room: () => this.terminal.resume(),
    });
  }

  private state({ domain }: Guest): string {
    const info = this.guests()
      .host.list()
      .find(({ domid }) => domid === domain.domid);
    return info ? stateWord(info) : 'gone';
  }

  private command(key: number): void {
    const letter = String.fromCharCode(key);
    if (letter === '?' || letter === 'h') this.say(KEYS_HELP);
    else if (letter === 'l') this.list();
    else if (this.shown) this.commandTo(this.shown, letter);
  }

  private commandTo(shown: Guest, letter: string): void {
    const { all } = this.guests();
    const { domain } = shown;
    const step = (by: number): Guest => all[(all.indexOf(shown) + by + all.length) % all.length]!;
    switch (letter) {
      case 'n':
        this.show(step(1));
        break;
      case 'p':
        this.show(step(-1));
        break;
      case 'z':
        if (domain.domain?.paused) domain.unpause();
        else domain.pause();
        this.notice(`${title(shown)}: ${this.state(shown)}`);
        break;
      case 's':
        domain.requestShutdown('poweroff');
        this.notice(`${title(shown)} is asked to shut down`);
        break;
      case 'r':
        domain.requestShutdown('reboot');
        this.notice(`${title(shown)} is asked to reboot`);
        break;
      case 'k':
        domain.destroy();
        break;
      case ESCAPE_KEY:
        domain.sendConsole(new TextEncoder().encode(ESCAPE_KEY));
        break;
      default: {
        const guest = all.find(({ slot }) => String(slot) === letter);
        if (guest) this.show(guest);
        else this.notice(`there is no such key or guest: Ctrl-] ? and Ctrl-] l show them`);
      }
    }
  }

  private list(): void {
    const lines = this.guests().all.map((guest) => {
      const mark = guest === this.shown ? '*' : ' ';
      return `${mark}${guest.slot} ${title(guest)}, ${this.state(guest)}`;
    });
    this.say(lines.join('\n'));
  }

  private say(text: string): void {
    for (const line of text.split('\n')) this.notice(line);
  }
}

const title = ({ domain }: Guest): string => `${domain.name} (domain ${domain.domid})`;
