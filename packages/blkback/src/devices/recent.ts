/** A cache of what was used last, at most `limit` of them; what was not used for the longest time goes first. */
export class Recent<K, V> {
  private readonly entries = new Map<K, Promise<V>>();

  constructor(private readonly limit: number) {}

  /** What is kept under the key, or what `load` promises. A failure is not remembered: the next one tries again. */
  get(key: K, load: () => Promise<V>): Promise<V> {
    const known = this.entries.get(key);
    if (known) this.entries.delete(key);
    const value = known ?? load();
    this.entries.set(key, value);
    if (!known) {
      value.catch(() => {
        if (this.entries.get(key) === value) this.entries.delete(key);
      });
    }
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.limit) break;
      this.entries.delete(oldest);
    }
    return value;
  }
}
