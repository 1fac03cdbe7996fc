import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumMissing, startChromium } from '../src/chromium.js';
import { buildSite, serve } from '../src/site.js';
import { runSystems } from '../src/systems.js';
import type { Report } from '../src/worker.js';

const where = `in Chromium${chromiumMissing ? `: skipped, ${chromiumMissing}` : ''}`;

describe.skipIf(chromiumMissing)(where, () => {
  let report: Report;
  const problems: string[] = [];

  beforeAll(async () => {
    const site = await serve(await buildSite());
    const browser = await startChromium();
    try {
      const page = await browser.newPage();
      page.on('console', (message) => problems.push(message.text()));
      page.on('pageerror', (error) => problems.push(error.message));
      await page.goto(site.url);
      const found = await page.waitForFunction(() => (globalThis as { report?: Report }).report, undefined, {
        timeout: 120_000,
      });
      report = (await found.jsonValue())!;
    } finally {
      await browser.close();
      site.close();
    }
  });
  afterAll(() =>
    expect(problems.filter((text) => !text.includes('favicon') && !text.includes('404'))).toEqual([]),
  );

  it('runs in a module worker that got no special headers', () => {
    expect(report.error).toBeUndefined();
    expect([report.isWorker, report.crossOriginIsolated]).toEqual([true, false]);
  });

  it('hello prints its line and powers off', () => {
    const hello = report.runs?.find(({ name }) => name === 'hello');
    expect(hello?.domains).toEqual([
      {
        cmdline: '',
        output: 'Hello from a Xen guest.\r\n',
        result: { reason: 'poweroff', code: 0, restarts: 0 },
      },
    ]);
  });

  it.each([1, 2])('two domains exchange pages by grants of version %i', (version) => {
    const [granter, mapper] =
      report.runs?.find(({ name }) => name === `grants of version ${version}`)?.domains ?? [];
    for (const domain of [granter, mapper]) {
      expect(domain?.output).toMatch(/grants: ok\r\n$/);
      expect(domain?.result).toMatchObject({ reason: 'poweroff', restarts: 0 });
    }
    expect(granter?.output).toContain('written: the mapper was here');
    expect(granter?.output).toContain("given: a page of the mapper's");
    expect(mapper?.output).toContain('read: for you to write to');
    expect(mapper?.output.includes('copied: a part of a page')).toBe(version === 2);
  });

  it('does the same as in Node, instruction for instruction', async () => {
    expect(report.runs).toEqual(await runSystems());
  });
});
