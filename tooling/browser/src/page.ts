import type { Report } from './worker.js';

/** The page: starts the worker, shows what the guests printed, and keeps the report where a test finds it. */
const show = (text: string): void => {
  document.body.append(Object.assign(document.createElement('pre'), { textContent: text }));
};
const keep = (report: Partial<Report>): void => {
  Object.assign(globalThis, { report });
  for (const { name, domains } of report.runs ?? [])
    for (const { cmdline, output } of domains) show(`${name} ${cmdline}\n${output}`);
  if (report.error) show(report.error);
};
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
worker.onmessage = ({ data }: MessageEvent<Report>) => keep(data);
worker.onerror = ({ message, filename, lineno }) => keep({ error: `${message} (${filename}:${lineno})` });
