import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as xenAbi from './index.js';
import { type Abi, isLayout, walkFields, x86_32, x86_64 } from './index.js';

/**
 * What gcc says about Xen's own public headers (written by tooling/abi-fixture). A name that is missing there means
 * that the fixture must be generated again after a declaration was added.
 */
interface Measured {
  layouts: Record<
    string,
    { size: number; fields: Record<string, { offset: number; size: number; signed?: boolean }> }
  >;
  constants?: Record<string, string>;
}

const fixture = (abi: Abi): Measured =>
  JSON.parse(
    readFileSync(new URL(`../fixtures/layout-${abi.name}.json`, import.meta.url), 'utf8'),
  ) as Measured;

const exported = Object.entries(xenAbi);
const layouts = exported.flatMap(([name, value]) => (isLayout(value) ? [{ name, layout: value }] : []));

describe.each([x86_64, x86_32])('the declarations for $name against the real headers', (abi) => {
  const measured = fixture(abi);
  const declared = layouts.filter(({ layout }) => (layout.only ?? abi).name === abi.name);

  it.each(declared)('$name has the size, offsets and signs of the C type', ({ name, layout }) => {
    const fields: Measured['layouts'][string]['fields'] = {};
    for (const { path, offset, size, kind } of walkFields(layout, abi)) {
      const integer = kind === 'signed' || kind === 'unsigned';
      fields[path] = { offset, size, ...(integer && { signed: kind === 'signed' }) };
    }
    expect({ size: layout.for(abi).size, fields }).toEqual(measured.layouts[name]);
  });

  it('has nothing measured that is no longer declared', () => {
    expect(Object.keys(measured.layouts).sort()).toEqual(declared.map(({ name }) => name).sort());
  });
});

it('has every constant at the value in the headers', () => {
  const constants = exported.flatMap(([name, value]) =>
    typeof value === 'number' || typeof value === 'bigint' ? [[name, String(value)]] : [],
  );
  expect(Object.fromEntries(constants)).toEqual(fixture(x86_64).constants);
  expect(constants.length).toBeGreaterThan(500);
});
