import { expect, it } from 'vitest';
import { countTests } from './test-counts.mjs';

const file = (status: string, ...results: string[]) => ({
  status,
  assertionResults: results.map((result) => ({ status: result })),
});

it('counts passed and failed tests, and no skipped ones', () => {
  const testResults = [file('passed', 'passed', 'skipped'), file('failed', 'passed', 'failed', 'failed')];
  expect(countTests({ success: false, testResults })).toEqual({ passed: 2, failed: 2 });
});

it('counts a file that could not be loaded', () => {
  expect(countTests({ success: false, testResults: [file('passed', 'passed'), file('failed')] })).toEqual({
    passed: 1,
    failed: 1,
  });
});

it('counts a run that failed although no test did', () => {
  expect(countTests({ success: false, testResults: [file('passed', 'passed')] })).toEqual({
    passed: 1,
    failed: 1,
  });
});
