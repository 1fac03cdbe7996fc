import { BadInputError } from '@xenolith/host-interface';
import { type Position, Scanner } from './scanner.js';

/** What stands behind `=`. A number is a string without quotes: who reads the setting decides what it wants. */
export type XlValue =
  | { readonly kind: 'string'; readonly text: string; readonly at: Position }
  | { readonly kind: 'list'; readonly items: XlValue[]; readonly at: Position };

export interface XlSetting {
  readonly value: XlValue;
  /** Where its name stands. */
  readonly at: Position;
}

/** Far above any real configuration. */
const MAX_LENGTH = 1 << 20;
const MAX_DEPTH = 16;

/**
 * Reads the syntax of xl.cfg(5), as libxlu does (libxlu_cfg_l.l, libxlu_cfg_y.y): `NAME = VALUE` and `NAME += VALUE`, ended
 * by a new line or `;`, where a value is a string in either quotes, a number, or a list of values, which may go over several
 * lines; `#` begins a comment. Of several assignments the last one counts; `+=` appends to strings and to lists.
 * @throws BadInputError with file, line and column
 */
export function parseXlSyntax(text: string, file: string): Map<string, XlSetting> {
  if (text.length > MAX_LENGTH)
    throw new BadInputError(`${file}: a configuration has at most ${MAX_LENGTH} characters.`);
  const scanner = new Scanner(text, file);
  const settings = new Map<string, XlSetting>();
  for (;;) {
    const token = scanner.next();
    if (token.kind === 'end') return settings;
    if (token.kind === 'newline' || token.kind === ';') continue;
    if (token.kind !== 'name')
      throw scanner.error(token, `here should be the name of a setting, not ${token.shown}`);
    const operator = scanner.next();
    if (operator.kind !== '=' && operator.kind !== '+=')
      throw scanner.error(operator, `behind "${token.text}" should be "=", not ${operator.shown}`);
    const value = parseValue(scanner, 0);
    const before = settings.get(token.text);
    const joined = operator.kind === '+=' && before ? join(scanner, before.value, value) : value;
    settings.set(token.text, { value: joined, at: token.at });
    const end = scanner.next();
    if (end.kind === 'end') return settings;
    if (end.kind !== 'newline' && end.kind !== ';')
      throw scanner.error(end, `behind the value should be the end of the line or ";", not ${end.shown}`);
  }
}

function join(scanner: Scanner, before: XlValue, added: XlValue): XlValue {
  if (before.kind === 'string' && added.kind === 'string')
    return { ...added, text: before.text + added.text };
  if (before.kind === 'list' && added.kind === 'list') {
    // Into the same array: a file of nothing but `+=` must not take the square of its length.
    for (const item of added.items) before.items.push(item);
    return { ...added, items: before.items };
  }
  throw scanner.error(added, 'a list cannot be added to a string, nor a string to a list');
}

function parseValue(scanner: Scanner, depth: number): XlValue {
  const token = scanner.next();
  if (token.kind === 'string' || token.kind === 'number')
    return { kind: 'string', text: token.text, at: token.at };
  if (token.kind === 'name') throw scanner.error(token, `a text needs quotes: "${token.text}"`);
  if (token.kind !== '[')
    throw scanner.error(token, `here should be a string, a number or a list, not ${token.shown}`);
  if (depth === MAX_DEPTH) throw scanner.error(token, `lists may stand in lists at most ${MAX_DEPTH} deep`);
  return { kind: 'list', items: parseItems(scanner, depth + 1), at: token.at };
}

/** What follows `[`; a comma may stand before `]`. */
function parseItems(scanner: Scanner, depth: number): XlValue[] {
  const items: XlValue[] = [];
  for (;;) {
    scanner.skipNewlines();
    if (scanner.peek().kind === ']') {
      scanner.next();
      return items;
    }
    items.push(parseValue(scanner, depth));
    scanner.skipNewlines();
    const token = scanner.next();
    if (token.kind === ']') return items;
    if (token.kind !== ',')
      throw scanner.error(token, `behind a value of a list should be "," or "]", not ${token.shown}`);
  }
}
