import type { XenstoreOperations } from '@xenolith/guest-api';
import { XenbusError } from './errors.js';

/** Reads of one end's directory. What the other end writes there is text that may be anything. */
export class Directory {
  constructor(
    private readonly store: XenstoreOperations,
    readonly path: string,
  ) {}

  /** The same directory within a transaction. */
  within(transaction: XenstoreOperations): Directory {
    return new Directory(transaction, this.path);
  }

  /** The value, or undefined if there is no such node or it may not be read. */
  async find(name: string): Promise<string | undefined> {
    try {
      return await this.store.read(`${this.path}/${name}`);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** @throws XenbusError if there is none */
  async read(name: string): Promise<string> {
    const value = await this.find(name);
    if (value === undefined) throw new XenbusError('ENOENT', `${this.path}/${name} is missing`);
    return value;
  }

  /**
   * A decimal number from 0 to `max`.
   * @throws XenbusError if the node is missing or says something else
   */
  async number(name: string, max = 0xffff_ffff): Promise<number> {
    return parseNumber(await this.read(name), `${this.path}/${name}`, max);
  }

  /** The same, or undefined if there is no such node. */
  async findNumber(name: string, max = 0xffff_ffff): Promise<number | undefined> {
    const value = await this.find(name);
    return value === undefined ? undefined : parseNumber(value, `${this.path}/${name}`, max);
  }

  /** A feature bit: true if the node says 1. What it says else is a feature that is not there. */
  async flag(name: string): Promise<boolean> {
    return (await this.find(name)) === '1';
  }

  async write(values: Readonly<Record<string, string | number>>): Promise<void> {
    for (const [name, value] of Object.entries(values))
      await this.store.write(`${this.path}/${name}`, String(value));
  }

  async remove(name: string): Promise<void> {
    try {
      await this.store.rm(`${this.path}/${name}`);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** Names of the children of `name`; none if there is no such node. */
  async list(name: string): Promise<string[]> {
    try {
      return await this.store.list(name === '' ? this.path : `${this.path}/${name}`);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }
}

/** A node that is not there, or that was taken from us. */
export const isMissing = (error: unknown): boolean => {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ENOENT' || code === 'EACCES';
};

function parseNumber(text: string, path: string, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw new XenbusError(
    'EINVAL',
    `${path} is ${JSON.stringify(text.slice(0, 40))}, not a number up to ${max}`,
  );
}
