/**
 * The names of a node's children, in the order of their creation. Never changed, only replaced; lists that grew from one
 * another share their names, so that adding one of many costs the same as adding one of few.
 */
export class Children implements Iterable<string> {
  static readonly none = new Children([], 0, 0);

  /** @param names at least `length`; more, if another list has grown from this one @param bytes see there */
  private constructor(
    private readonly names: string[],
    readonly length: number,
    /** Bytes that the list takes in a DIRECTORY reply, which is how it counts against limits too. */
    readonly bytes: number,
  ) {}

  with(name: string): Children {
    const names =
      this.length > 0 && this.names.length === this.length ? this.names : this.names.slice(0, this.length);
    names.push(name);
    return new Children(names, names.length, this.bytes + name.length + 1);
  }

  /** The list itself, if the name is not in it. */
  without(name: string): Children {
    const index = this.names.lastIndexOf(name, this.length - 1);
    if (index < 0 || this.length === 0) return this;
    const names = this.names.slice(0, this.length);
    names.splice(index, 1);
    return new Children(names, names.length, this.bytes - name.length - 1);
  }

  *[Symbol.iterator](): IterableIterator<string> {
    for (let i = 0; i < this.length; i++) yield this.names[i]!;
  }

  /** As the protocol has them: each with a NUL behind it. */
  toString(): string {
    if (this.length === 0) return '';
    return `${(this.names.length === this.length ? this.names : [...this]).join('\0')}\0`;
  }
}
