import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as xenAbi from './index.js';
import { isLayout, walkFields } from './index.js';

/**
 * What gcc says about Xen's own public headers (written by tooling/abi-fixture). A name that is missing there means
 * that the fixture must be generated again after a declaration was added.
 */
interface Measured {
  layouts: Record<
    string,
    { size: number; fields: Record<string, { offset: number; size: number; signed?: boolean }> }
  >;
  constants: Record<string, string>;
}

const measured = JSON.parse(
  readFileSync(new URL('../fixtures/layout-x86_64.json', import.meta.url), 'utf8'),
) as Measured;
const exported = Object.entries(xenAbi);
const layouts = exported.flatMap(([name, value]) => (isLayout(value) ? [{ name, layout: value }] : []));

describe('the declarations against the real headers', () => {
  it.each(layouts)('$name has the size, offsets and signs of the C type', ({ name, layout }) => {
    const fields: Measured['layouts'][string]['fields'] = {};
    for (const { path, offset, size, kind } of walkFields(layout)) {
      const integer = kind === 'signed' || kind === 'unsigned';
      fields[path] = { offset, size, ...(integer && { signed: kind === 'signed' }) };
    }
    expect({ size: layout.size, fields }).toEqual(measured.layouts[name]);
  });

  it('has every constant of the headers at its value', () => {
    const constants = exported.flatMap(([name, value]) =>
      typeof value === 'number' || typeof value === 'bigint' ? [[name, String(value)]] : [],
    );
    expect(Object.fromEntries(constants)).toEqual(measured.constants);
    expect(constants.length).toBeGreaterThan(500);
  });

  it('has nothing measured that is no longer declared', () => {
    expect(Object.keys(measured.layouts).sort()).toEqual(layouts.map(({ name }) => name).sort());
  });
});
