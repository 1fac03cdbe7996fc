import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { type FlatMachine, flatMachine } from '../testing/flat-machine.js';
import {
  difference,
  execute,
  expectedResults,
  FAMILIES,
  hashInputs,
  prepareMachine,
  readFixture,
  VECTOR_PAGES,
} from '../testing/vectors/index.js';

// Recorded on an AMD Zen 3 by tooling/vectors; the inputs come from the names of the forms.
describe.each(FAMILIES)('vectors from the real processor: $name', (family) => {
  const url = new URL(`../../fixtures/vectors-${family.name}.bin.gz`, import.meta.url);
  const recorded = readFixture(new Uint8Array(gunzipSync(readFileSync(url))));
  const sets = family.sets();
  let m: FlatMachine;
  beforeAll(async () => {
    m = await flatMachine(VECTOR_PAGES);
    prepareMachine(m);
  });

  it('has vectors for every form of the table', () => {
    const missing = sets.filter((s) => !recorded.has(s.key)).map((s) => s.key);
    expect(missing, 'run tooling/vectors on an x86-64 machine').toEqual([]);
  });

  it('0 mismatches', { timeout: 120_000 }, () => {
    const found: string[] = [];
    const stale: string[] = [];
    for (const set of sets) {
      const results = recorded.get(set.key);
      if (!results) continue;
      const vectors = set.vectors();
      const inputs = vectors.map((v) => v.before);
      if (hashInputs(inputs) !== results.inputHash) {
        stale.push(set.key);
        continue;
      }
      for (const [i, expected] of expectedResults(inputs, results).entries()) {
        const text = difference(set, vectors[i]!, expected, execute(m, inputs[i]!));
        if (text !== undefined) found.push(text);
      }
    }
    expect(stale, 'the inputs changed: run tooling/vectors again').toEqual([]);
    expect(`${found.length} mismatches\n${found.slice(0, 20).join('\n')}`).toBe('0 mismatches\n');
  });
});
