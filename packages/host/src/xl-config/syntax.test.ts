import { BadInputError } from '@xenolith/host-interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseXlSyntax, type XlValue } from './syntax.js';

type Plain = string | Plain[];
const plain = (value: XlValue): Plain => (value.kind === 'list' ? value.items.map(plain) : value.text);
const read = (text: string): Record<string, Plain> =>
  Object.fromEntries([...parseXlSyntax(text, 'x.cfg')].map(([key, { value }]) => [key, plain(value)]));

describe('the syntax of xl.cfg', () => {
  it('has strings in both quotes, numbers, and lists over lines with lists in them', () => {
    expect(
      read(`# a comment
name = "it's" ; memory=0x200 # behind it
cmdline = 'say "hello"'
empty = [] ; one = [ 'a' ]
disk = [
  "a,b", # the first

  [ 1, [ 2, ], ],
]
last = 7`),
    ).toEqual({
      name: "it's",
      memory: '0x200',
      cmdline: 'say "hello"',
      empty: [],
      one: ['a'],
      disk: ['a,b', ['1', ['2']]],
      last: '7',
    });
  });

  it('takes the last assignment, and appends with +=', () => {
    expect(read('a = 1\na = 2\nb = "x"\nb += "y"\nc = [1]\nc += [2, 3]\nd += "new"')).toEqual({
      a: '2',
      b: 'xy',
      c: ['1', '2', '3'],
      d: 'new',
    });
  });

  it('knows the escapes of C', () => {
    expect(read(String.raw`a = "\a\b\f\n\r\t\v\"\'\\"`)).toEqual({ a: '\x07\b\f\n\r\t\v"\'\\' });
  });

  it('takes files with the line ends of DOS, without a last line end, and with nothing in them', () => {
    expect(read('a = 1\r\nb = [\r\n2\r\n]\r\n# end')).toEqual({ a: '1', b: ['2'] });
    expect(read('')).toEqual({});
    expect(read('\n;;\n ; # nothing')).toEqual({});
  });

  it.each([
    ['name "x"', '1:6: behind "name" should be "=", not a string.'],
    ['a = 1\n= 2', '2:1: here should be the name of a setting, not "=".'],
    ['a =', '1:4: here should be a string, a number or a list, not the end of the file.'],
    ['a =\nb = 1', '1:4: here should be a string, a number or a list, not the end of the line.'],
    ['type = pv', '1:8: a text needs quotes: "pv".'],
    ['a = 1 2', '1:7: behind the value should be the end of the line or ";", not "2".'],
    ['a = [ 1 2 ]', '1:9: behind a value of a list should be "," or "]", not "2".'],
    ['a = [ , ]', '1:7: here should be a string, a number or a list, not ",".'],
    ['a = [ 1,\n2', '2:2: behind a value of a list should be "," or "]", not the end of the file.'],
    ['\na = "x', '2:5: the string that begins here has no " at its end on this line.'],
    ["a = 'x\ny'", "1:5: the string that begins here has no ' at its end on this line."],
    ['Memory = 1', '1:1: names of settings are in small letters, and texts need quotes.'],
    ['a = -1', '1:5: a negative number needs quotes: "-1".'],
    ['a = f(1)', '1:5: a text needs quotes: "f".'],
    ['def f():', '1:5: behind "def" should be "=", not "f".'],
    ['a = 1\n  (', '2:3: "(" has no place here (Python'],
    ['a = $x', '1:5: "$" has no place here.'],
    [String.raw`a = "ab\q"`, '1:8: "\\q" means nothing; a backslash is "\\\\".'],
    [String.raw`a = "\x41"`, '1:6: characters cannot be given by number'],
    ['a = "x\0"', '1:7: a string has no NUL characters.'],
    ['a = "x"\na += [1]', '2:6: a list cannot be added to a string'],
    [`a = ${'['.repeat(17)}`, '1:21: lists may stand in lists at most 16 deep.'],
  ])('refuses %j, and says where', (text, message) => {
    expect(() => read(text)).toThrow(BadInputError);
    expect(() => read(text)).toThrow(`x.cfg:${message}`);
  });

  it('refuses what is far too long, and takes no longer for the worst that is not', () => {
    expect(() => read(' '.repeat((1 << 20) + 1))).toThrow('at most 1048576 characters');
    expect(() => read('['.repeat(1 << 20))).toThrow(BadInputError);
    expect(() => read(`a = ${'['.repeat(1 << 19)}`)).toThrow('16 deep');
    expect((read('a+=[1]\n'.repeat(149_000)).a as Plain[]).length).toBe(149_000);
    expect(() => read(`a = "${'\\\\'.repeat(1 << 18)}`)).toThrow('no " at its end');
  });
});

// ── Properties ────────────────────────────────────────────────────────────────────────────────────────────────────

const name = fc.stringMatching(/^[a-z][._0-9a-z]{0,8}$/);
const value = fc.letrec<{ value: Plain }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string().map((text) => text.replaceAll('\0', '')),
    fc.nat().map(String),
    fc.array(tie('value'), { maxLength: 4 }),
  ),
})).value;

/** Writes a value in one of the ways that mean it; the numbers decide which. */
function write(it: Plain, choose: () => number): string {
  const space = (): string => ['', ' ', '\t'][choose() % 3]!;
  const gap = (): string => ['', ' ', '\n', ' # gap\n'][choose() % 4]!;
  if (typeof it === 'string') {
    if (/^[0-9]+$/.test(it) && choose() % 2) return it;
    const quote = '"\''[choose() % 2]!;
    const escaped = it
      .replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\\\'))
      .replaceAll(quote, `\\${quote}`);
    return `${quote}${escaped}${quote}`;
  }
  const items = it.map((item) => `${gap()}${write(item, choose)}${gap()}`);
  const comma = it.length > 0 && choose() % 2 ? `,${gap()}` : '';
  return `[${gap()}${items.join(',')}${comma}]${space()}`;
}

it('property: what is written in any of its ways is read as it was meant', () => {
  const settings = fc.array(fc.tuple(name, value), { maxLength: 8 });
  fc.assert(
    fc.property(settings, fc.infiniteStream(fc.nat(11)), (pairs, choices) => {
      const choose = (): number => choices.next().value as number;
      const ends = ['\n', ';', ' # c\n', '\r\n', '\n\n'];
      const text = pairs
        .map(([key, it]) => `${key}${choose() % 2 ? ' ' : ''}= ${write(it, choose)}${ends[choose() % 5]}`)
        .join('');
      expect(read(text)).toEqual(Object.fromEntries(pairs));
    }),
  );
});

it('property: whatever is in a file, it is read or refused with a place', () => {
  const pieces = fc.constantFrom(...'a b1 = += [ ] , ; # " \' \\ \n \r \0 é 0x1f 12 - ( : X'.split(' '), ' ');
  const text = fc.oneof(
    fc.array(pieces).map((list) => list.join('')),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, (it) => {
      try {
        read(it);
      } catch (error) {
        expect(error).toBeInstanceOf(BadInputError);
        expect((error as Error).message).toMatch(/^x\.cfg:\d+:\d+: /);
      }
    }),
  );
});
