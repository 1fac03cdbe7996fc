import { expect, it } from 'vitest';
import { FAMILIES, type VectorSet } from './families.js';
import { expectedResults, hashInputs, readFixture, record, writeFixture } from './fixture.js';
import { difference } from './replay.js';
import type { VectorState } from './state.js';

const set = FAMILIES[0]!.sets()[0] as VectorSet;
const vectors = set.vectors();
const inputs = vectors.map((v) => v.before);

/** Results in which each input changed a little of everything. */
const results = inputs.map((before, i): VectorState => {
  const after = before.copy();
  after.vector = i % 3 === 0 ? 14 : 3;
  if (after.vector === 14) after.error = 6;
  after.rip = before.rip + i;
  after.rflags = (before.rflags ^ 0x8d5) & 0xfff;
  after.mxcsr = i % 2 ? 0x1fa0 : before.mxcsr;
  after.setGpr(i % 16, ~before.gpr(i % 16) & 0xffff_ffff_ffff_ffffn);
  after.xmm[16 * (i % 16) + 3]! ^= 0xff;
  for (let b = i; b < 400; b += 90) after.memory[b]! ^= 1;
  return after;
});

it('gives back every result that was recorded', () => {
  const fixture = readFixture(writeFixture(new Map([[set.key, record(inputs, results)]])));
  const recorded = fixture.get(set.key)!;
  expect(recorded.inputHash).toBe(hashInputs(inputs));
  for (const [i, expected] of expectedResults(inputs, recorded).entries()) {
    const strict = { before: inputs[i]!, openFlags: 0, openResult: false };
    expect(difference(set, strict, expected, results[i]!)).toBeUndefined();
  }
});

it('the same inputs come from a form every time, others from another form', () => {
  expect(hashInputs(set.vectors().map((v) => v.before))).toBe(hashInputs(inputs));
  const other = FAMILIES[0]!.sets()[1] as VectorSet;
  expect(hashInputs(other.vectors().map((v) => v.before))).not.toBe(hashInputs(inputs));
});

it('says which register, flag or byte is wrong, and passes over what is undefined', () => {
  const expected = results[1]!;
  const vector = { before: inputs[1]!, openFlags: 0, openResult: false };
  const changed = (change: (s: VectorState) => void): string | undefined => {
    const actual = expected.copy();
    change(actual);
    return difference(set, vector, expected, actual);
  };
  expect(changed(() => {})).toBeUndefined();
  expect(changed((s) => s.setGpr(2, s.gpr(2) ^ 1n))).toContain('rdx: ');
  expect(changed((s) => s.xmm.set([s.xmm[17]! ^ 1], 17))).toContain('xmm1: ');
  expect(changed((s) => s.memory.set([s.memory[8]! ^ 1], 8))).toContain('[40f48]: ');
  const wrongFlags = expected.copy();
  wrongFlags.rflags ^= 0x10;
  expect(difference(set, vector, expected, wrongFlags)).toContain('flags: ');
  expect(difference(set, { ...vector, openFlags: 0x10 }, expected, wrongFlags)).toBeUndefined();
});
