import { ByteWriter } from './bytes.js';
import { type ValueType, valueTypeCode } from './expr.js';
import { FunctionBuilder, type FunctionRef, type FunctionSignature } from './function-builder.js';

interface DefinedFunction {
  typeIndex: number;
  body: Uint8Array | undefined;
}

/** Collects types, imports, functions, a table and exports, and writes the binary module. Imports come first. */
export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #signatures: FunctionSignature[] = [];
  readonly #imports: { module: string; name: string; typeIndex: number }[] = [];
  readonly #functions: DefinedFunction[] = [];
  readonly #exports: { name: string; kind: number; index: number }[] = [];
  #memory: { module: string; name: string; min: number; max: number } | undefined;
  #table: FunctionRef[] | undefined;

  typeIndex(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${params.join()}>${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    this.#signatures.push({ params, results });
    return this.#types.push(key) - 1;
  }

  importFunction(
    module: string,
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[],
  ): FunctionRef {
    if (this.#functions.length > 0) throw new Error('wasm-builder: imports come before functions');
    const index = this.#imports.push({ module, name, typeIndex: this.typeIndex(params, results) }) - 1;
    return { index, params, results };
  }

  /** Imports the one memory; sizes in 64 KiB pages. */
  importMemory(module: string, name: string, min: number, max: number): void {
    this.#memory = { module, name, min, max };
  }

  /** Declares a function that `define` fills later, so that functions may call each other. */
  declare(params: readonly ValueType[], results: readonly ValueType[]): FunctionRef {
    const index = this.#imports.length + this.#functions.length;
    this.#functions.push({ typeIndex: this.typeIndex(params, results), body: undefined });
    return { index, params, results };
  }

  define(ref: FunctionRef, body: (f: FunctionBuilder) => void): void {
    const f = new FunctionBuilder(ref);
    body(f);
    this.#functions[ref.index - this.#imports.length]!.body = f.finish();
  }

  function(
    params: readonly ValueType[],
    results: readonly ValueType[],
    body: (f: FunctionBuilder) => void,
  ): FunctionRef {
    const ref = this.declare(params, results);
    this.define(ref, body);
    return ref;
  }

  export(name: string, ref: FunctionRef): void {
    this.#exports.push({ name, kind: 0, index: ref.index });
  }

  /** Table 0, filled with these functions from index 0. */
  table(functions: FunctionRef[]): void {
    this.#table = functions;
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.append([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, this.#signatures, (w, s) => {
      w.byte(0x60);
      for (const list of [s.params, s.results]) {
        w.u32(list.length);
        for (const t of list) w.byte(valueTypeCode[t]);
      }
    });
    this.#importSection(out);
    section(out, 3, this.#functions, (w, f) => w.u32(f.typeIndex));
    const table = this.#table;
    if (table)
      section(out, 4, [table.length], (w, n) => {
        w.append([0x70, 0x00]);
        w.u32(n);
      });
    section(out, 7, this.#exports, (w, e) => {
      w.name(e.name);
      w.byte(e.kind);
      w.u32(e.index);
    });
    if (table)
      section(out, 9, [table], (w, functions) => {
        w.append([0x00, 0x41, 0x00, 0x0b]);
        w.u32(functions.length);
        for (const f of functions) w.u32(f.index);
      });
    section(out, 10, this.#functions, (w, f) => {
      if (!f.body) throw new Error('wasm-builder: a declared function was never defined');
      w.u32(f.body.length);
      w.append(f.body);
    });
    return out.toBytes();
  }

  #importSection(out: ByteWriter): void {
    const memory = this.#memory;
    const entries: ((w: ByteWriter) => void)[] = this.#imports.map((i) => (w) => {
      w.name(i.module);
      w.name(i.name);
      w.byte(0);
      w.u32(i.typeIndex);
    });
    if (memory)
      entries.push((w) => {
        w.name(memory.module);
        w.name(memory.name);
        w.append([2, 1]);
        w.u32(memory.min);
        w.u32(memory.max);
      });
    section(out, 2, entries, (w, e) => e(w));
  }
}

function section<T>(
  out: ByteWriter,
  id: number,
  items: readonly T[],
  write: (w: ByteWriter, item: T) => void,
): void {
  if (items.length === 0) return;
  const body = new ByteWriter();
  body.u32(items.length);
  for (const item of items) write(body, item);
  out.byte(id);
  out.u32(body.length);
  out.append(body.view());
}
