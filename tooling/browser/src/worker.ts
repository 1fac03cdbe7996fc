import { type DiskRun, runDisks } from './disks.js';
import { pingThroughRelay } from './network.js';
import { runSystems } from './systems.js';

/** What the worker tells the page: the runs, and that nothing special was allowed to it. */
export interface Report {
  runs?: Awaited<ReturnType<typeof runSystems>>;
  /** Those whose images the server has. */
  disks?: Record<string, DiskRun>;
  /** Pings through the relay that were answered. */
  pings?: boolean[];
  error?: string;
  /** Whether the server sent the headers that SharedArrayBuffer wants. */
  crossOriginIsolated: boolean;
  isWorker: boolean;
}

const report: Report = {
  crossOriginIsolated: globalThis.crossOriginIsolated,
  isWorker: typeof document === 'undefined',
};
try {
  report.runs = await runSystems();
  const images = (await (await fetch('/images.json')).json()) as Record<string, string>;
  report.disks = await runDisks(images);
  report.pings = await pingThroughRelay((await (await fetch('/relay.json')).json()) as string);
} catch (error) {
  report.error = error instanceof Error ? (error.stack ?? error.message) : String(error);
}
postMessage(report);
