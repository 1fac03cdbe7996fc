import { BadInputError } from '@xenolith/host-interface';

/** A place in a file, both from 1; columns in characters. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type TokenKind = 'name' | 'number' | 'string' | 'newline' | 'end' | '=' | '+=' | '[' | ']' | ',' | ';';

export interface Token {
  readonly kind: TokenKind;
  /** A name, a number as it is written, or a string's contents. */
  readonly text: string;
  readonly at: Position;
  /** For messages. */
  readonly shown: string;
}

const BLANKS = /(?:[ \t]|#[^\n]*)*/y;
const WORDS: readonly [TokenKind, RegExp][] = [
  ['name', /[a-z][._0-9a-z]*/y],
  ['number', /[0-9][0-9a-fx]*/y],
  ['newline', /\r?\n/y],
  ['+=', /\+=/y],
];
const SIGNS = '=[],;';
const STRING = /"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'/y;
const ESCAPES: Record<string, string> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Cuts a configuration into tokens (libxlu_cfg_l.l). */
export class Scanner {
  private offset = 0;
  private line = 1;
  private lineStart = 0;
  private ahead: Token | undefined;

  constructor(
    private readonly text: string,
    private readonly file: string,
  ) {}

  error({ at }: { readonly at: Position }, message: string): BadInputError {
    return new BadInputError(`${this.file}:${at.line}:${at.column}: ${message}.`);
  }

  peek(): Token {
    this.ahead ??= this.scan();
    return this.ahead;
  }

  next(): Token {
    const token = this.peek();
    this.ahead = undefined;
    return token;
  }

  skipNewlines(): void {
    while (this.peek().kind === 'newline') this.next();
  }

  private scan(): Token {
    this.take(BLANKS);
    const at = { line: this.line, column: this.offset - this.lineStart + 1 };
    const char = this.text[this.offset];
    if (char === undefined) return { kind: 'end', text: '', at, shown: 'the end of the file' };
    for (const [kind, pattern] of WORDS) {
      const word = this.take(pattern)?.[0];
      if (word === undefined) continue;
      if (kind === 'newline') {
        this.line++;
        this.lineStart = this.offset;
      }
      return { kind, text: word, at, shown: kind === 'newline' ? 'the end of the line' : `"${word}"` };
    }
    if (SIGNS.includes(char)) {
      this.offset++;
      return { kind: char as TokenKind, text: char, at, shown: `"${char}"` };
    }
    const string = this.take(STRING);
    if (string) return { kind: 'string', text: this.unquote(string, at), at, shown: 'a string' };
    throw this.error({ at }, strange(char));
  }

  private take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.offset;
    const match = pattern.exec(this.text);
    if (match) this.offset = pattern.lastIndex;
    return match ?? undefined;
  }

  private unquote(match: RegExpExecArray, at: Position): string {
    return (match[1] ?? match[2]!).replace(
      /\\(.)|\0/g,
      (all: string, char: string | undefined, offset: number) => {
        const place = { at: { line: at.line, column: at.column + 1 + offset } };
        if (char === undefined) throw this.error(place, 'a string has no NUL characters');
        const meant = ESCAPES[char];
        if (meant !== undefined) return meant;
        throw this.error(
          place,
          /[x0-7]/.test(char)
            ? 'characters cannot be given by number: xl itself reads such escapes wrongly'
            : `"${all}" means nothing; a backslash is "\\\\"`,
        );
      },
    );
  }
}

function strange(char: string): string {
  if (char === '"' || char === "'")
    return `the string that begins here has no ${char} at its end on this line`;
  if (/[A-Z]/.test(char)) return 'names of settings are in small letters, and texts need quotes';
  if (char === '-') return 'a negative number needs quotes: "-1"';
  if ('+.():'.includes(char)) return `"${char}" has no place here (Python is no longer understood, as in xl)`;
  return `${JSON.stringify(char)} has no place here`;
}
