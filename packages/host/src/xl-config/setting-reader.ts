import type { Position } from './scanner.js';
import { suggest } from './suggest.js';
import type { XlSetting, XlValue } from './syntax.js';

/** A number as strtol(3) reads it with base 0: decimal, 0x… or octal with a leading 0. */
function toNumber(text: string): number {
  const match = /^\s*([+-]?)(?:0x([0-9a-f]+)|(0[0-7]*)|([1-9]\d*))$/i.exec(text);
  if (!match) return Number.NaN;
  const [, sign, hexadecimal, octal, decimal] = match;
  const value = hexadecimal
    ? Number.parseInt(hexadecimal, 16)
    : octal
      ? Number.parseInt(octal, 8)
      : Number(decimal);
  return sign === '-' ? -value : value;
}

/** Whether the value means "not there": 0, an empty string, an empty list. */
const isNothing = (value: XlValue): boolean =>
  value.kind === 'list' ? value.items.length === 0 : value.text === '' || toNumber(value.text) === 0;

/** Problems and warnings that are told. */
const SHOWN = 20;

/** Reads settings by name and type, and collects what is wrong with them. */
export class SettingReader {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  private readonly known = new Set<string>();

  constructor(
    private readonly settings: ReadonlyMap<string, XlSetting>,
    private readonly file: string,
  ) {}

  has(key: string): boolean {
    return this.settings.has(key);
  }

  /** Something is wrong with a setting that is there. */
  problem(key: string, message: string): void {
    const setting = this.settings.get(key);
    if (setting) this.add(this.problems, setting.value.at, `"${key}": ${message}`);
  }

  warn(key: string, message: string): void {
    const setting = this.settings.get(key);
    if (setting) this.add(this.warnings, setting.at, `"${key}": ${message}`);
  }

  required(key: string, why: string): void {
    const value = this.settings.get(key)?.value;
    if (value === undefined) this.problems.push(`${this.file}: there is no "${key}", but ${why}.`);
    else if (value.kind === 'string' && value.text === '') this.problem(key, `it is empty, but ${why}`);
  }

  text(key: string): string | undefined {
    this.known.add(key);
    const value = this.settings.get(key)?.value;
    if (value?.kind === 'list') this.problem(key, 'it should be a string, not a list');
    return value?.kind === 'string' ? value.text : undefined;
  }

  /** A whole number from `min` to `max`, both at most 2^53. */
  number(key: string, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    const value = toNumber(text);
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `, at least ${min}` : ` from ${min} to ${max}`;
    this.problem(key, `it should be a number${range}, not "${text}"`);
    return undefined;
  }

  /** A number that means yes unless it is 0. */
  flag(key: string): boolean | undefined {
    const value = this.number(key, Number.MIN_SAFE_INTEGER);
    return value === undefined ? undefined : value !== 0;
  }

  /** The strings of a list, each with what is said of it. */
  texts(key: string): string[] {
    this.known.add(key);
    const value = this.settings.get(key)?.value;
    if (value === undefined || isNothing(value)) return [];
    if (value.kind === 'string') {
      this.problem(key, 'it should be a list of strings');
      return [];
    }
    return value.items.flatMap((item) => {
      if (item.kind === 'string') return [item.text];
      this.problem(key, 'it should be a list of strings, without lists in it');
      return [];
    });
  }

  choice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const text = this.text(key);
    const choice = choices.find((name) => name === text);
    if (text !== undefined && choice === undefined)
      this.problem(key, `it should be one of ${choices.join(', ')}, not "${text}"`);
    return choice;
  }

  /** To be called last: what is to be said of the settings that nobody read. */
  others(refused: ReadonlyMap<string, string>, ignored: ReadonlyMap<string, string>): void {
    for (const [key, { at, value }] of this.settings) {
      if (this.problems.length > SHOWN) return;
      if (this.known.has(key)) continue;
      const reason = refused.get(key);
      const why = ignored.get(key);
      if (reason !== undefined) {
        if (!isNothing(value)) this.add(this.problems, at, `"${key}" cannot be had: ${reason}`);
      } else if (why !== undefined) this.add(this.warnings, at, `"${key}" is ignored: ${why}`);
      else {
        const meant = suggest(key, [...this.known, ...refused.keys(), ...ignored.keys()]);
        const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
        const shown = key.length > 40 ? `${key.slice(0, 40)}…` : key;
        this.add(this.problems, at, `there is no setting "${shown}"${hint}`);
      }
    }
  }

  private add(to: string[], { line, column }: Position, message: string): void {
    if (to.length > SHOWN) return;
    const full = to.length === SHOWN ? 'and so on' : message;
    to.push(`${this.file}:${line}:${column}: ${full}${/[.?]$/.test(full) ? '' : '.'}`);
  }
}
