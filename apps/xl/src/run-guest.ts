import { fstatSync, readFileSync } from 'node:fs';
import {
  createHost,
  type DomainConfig,
  type DomainResult,
  type Host,
  parseDiskSpec,
  parseVifSpec,
} from '@xenolith/host';
import type { LogLevel, TraceClass } from '@xenolith/host-interface';
import type { ClockMode, SchedulerName } from '@xenolith/hypervisor-core';
import { crashText } from './crash-text.js';
import { type DeviceSpecs, openDevices } from './devices.js';
import { diskWarnings } from './disks.js';
import { nodeEventLoop } from './event-loop.js';
import { ExitStatus, statusOf } from './exit-status.js';
import { logger, tracer } from './host-output.js';
import { statsText } from './stats-text.js';
import { Terminal } from './terminal.js';
import { serveHostXenstore } from './xenstore-socket.js';

/** The options that all commands have that run guests, as commander gives them. */
export interface HostCommandOptions {
  clock: ClockMode;
  sched: SchedulerName;
  timeout?: number;
  trace?: ReadonlySet<TraceClass>;
  stats?: boolean;
  xenstoreSocket?: string;
  log: LogLevel;
}

/** Those of commands that run one guest. */
export interface RunOptions extends HostCommandOptions {
  memory: number;
  vcpus: number;
  maxvcpus?: number;
  name: string;
  weight?: number;
  cap?: number;
  onReboot: 'restart' | 'destroy';
  disk?: string[];
  vif?: string[];
  allowConsoleIo?: boolean;
}

/** What is to be run; the kernel is found while the host is being made. */
export interface GuestInput
  extends Pick<DomainConfig, 'kernel' | 'ramdisk' | 'cmdline' | 'kernelPath' | 'ramdiskPath'> {
  /** Console input to give instead of standard input. */
  script?: Uint8Array;
}

/** Runs a guest on this terminal until something ends it. @returns the exit status @throws BadInputError */
export async function runGuest(input: GuestInput, options: RunOptions): Promise<number> {
  const stop = new AbortController();
  let status: number | undefined;
  const stopWith = (reason: number) => {
    status ??= reason;
    stop.abort();
  };
  const devices: DeviceSpecs = {
    disks: (options.disk ?? []).map(parseDiskSpec),
    vifs: (options.vif ?? []).map(parseVifSpec),
    directory: '.',
  };
  let host: Host | undefined;
  const { script, ...image } = input;
  const terminal = new Terminal({
    input: process.stdin,
    output: process.stdout,
    onInput: (bytes) => guest.sendConsole(bytes),
    onLeave: () => stopWith(ExitStatus.left),
    onOutputClosed: () => stopWith(ExitStatus.outputClosed),
  });
  host = await createHost({
    memoryMiB: options.memory,
    clock: options.clock,
    scheduler: options.sched,
    eventLoop: nodeEventLoop,
    log: logger(options.log, (line) => terminal.say(line)),
    statistics: options.stats ?? false,
    ...(options.trace && {
      trace: tracer(
        options.trace,
        (line) => terminal.say(line),
        () => host?.hypervisor.clock.now ?? 0,
      ),
    }),
  });
  const guest = host.createDomain({
    ...image,
    ...(await openDevices(devices, host)),
    name: options.name,
    memoryMiB: options.memory,
    vcpus: options.vcpus,
    ...(options.maxvcpus !== undefined && { maxVcpus: options.maxvcpus }),
    ...(options.weight !== undefined && { weight: options.weight }),
    ...(options.cap !== undefined && { cap: options.cap }),
    onReboot: options.onReboot,
    onConsole: (bytes) => terminal.write(bytes),
    onConsoleRoom: () => terminal.resume(),
    ...(options.allowConsoleIo && { onConsoleIo: (bytes: Uint8Array) => terminal.write(bytes) }),
  });
  const socket =
    options.xenstoreSocket === undefined ? undefined : await serveHostXenstore(host, options.xenstoreSocket);
  for (const disk of devices.disks)
    for (const warning of diskWarnings(disk)) terminal.say(`xenolith: ${warning}`);
  terminal.open(script ?? (options.clock === 'virtual' ? wholeInput() : undefined));
  const timer = options.timeout && setTimeout(() => stopWith(ExitStatus.timeout), options.timeout * 1000);
  const start = performance.now();
  try {
    guest.unpause();
    await host.run({ signal: stop.signal });
  } finally {
    clearTimeout(timer);
    terminal.close();
    await socket?.close();
  }
  const elapsed = (performance.now() - start) / 1000;
  status = guest.result ? statusOf(guest.result) : (status ?? ExitStatus.internalError);
  const last = lastWords(status, guest.result, options);
  if (last) terminal.say(`xenolith: ${last}`);
  if (options.stats) terminal.say(statsText(host, [guest], elapsed));
  return status;
}

/** A file as standard input is there from the beginning, so that a run with the virtual clock can be repeated. */
function wholeInput(): Uint8Array | undefined {
  try {
    return fstatSync(0).isFile() ? readFileSync(0) : undefined;
  } catch {
    return undefined;
  }
}

/** What a person should be told beside the guest's own words. */
function lastWords(
  status: number,
  result: DomainResult | undefined,
  options: RunOptions,
): string | undefined {
  switch (status) {
    case ExitStatus.crashed:
      return result && crashText(result);
    case ExitStatus.timeout:
      return `the guest was still running after ${options.timeout} s (--timeout)`;
    case ExitStatus.rebooted:
      return 'the guest rebooted (--on-reboot destroy)';
    case ExitStatus.suspended:
      return 'the guest suspended itself; it cannot be resumed';
    case ExitStatus.left:
      return 'you left; the guest is gone';
    default:
      return undefined;
  }
}
