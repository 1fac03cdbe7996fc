import {
  backendCompliance,
  type ComplianceCase,
  type DriverPair,
  frontendCompliance,
} from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { backend, wrongBackends } from './wrong-backends.js';
import { frontend, wrongFrontends } from './wrong-frontends.js';

const pair: DriverPair = { type: 'vrng', backend, frontend };

function find(suite: readonly ComplianceCase[], name: string): ComplianceCase {
  const found = suite.find((each) => each.name === name);
  if (!found) throw new Error(`There is no case "${name}".`);
  return found;
}

describe('the suite of backends finds one that', () => {
  for (const { what, wrong, cases, says } of wrongBackends) {
    it(what, async () => {
      for (const name of cases)
        await expect(find(backendCompliance, name).run({ ...pair, backend: wrong })).rejects.toThrow(says);
    });
  }
});

describe('the suite of frontends finds one that', () => {
  for (const { what, wrong, cases, says } of wrongFrontends) {
    it(what, async () => {
      for (const name of cases)
        await expect(find(frontendCompliance, name).run({ ...pair, frontend: wrong })).rejects.toThrow(says);
    });
  }
});

it('every case of the suites finds something', () => {
  const found = [...wrongBackends, ...wrongFrontends].flatMap(({ cases }) => cases);
  const all = [...backendCompliance, ...frontendCompliance].map(({ name }) => name);
  expect(all.filter((name) => !found.includes(name))).toEqual([]);
});
