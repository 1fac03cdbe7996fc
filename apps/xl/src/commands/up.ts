import { createHost, type DomainResult, type GuestDomain, type Host } from '@xenolith/host';
import { ControlServer } from '../control/server.js';
import { crashText } from '../crash-text.js';
import { nodeEventLoop } from '../event-loop.js';
import { ExitStatus, statusOf, worstOf } from '../exit-status.js';
import { logger, tracer } from '../host-output.js';
import type { HostCommandOptions } from '../run-guest.js';
import { statsText } from '../stats-text.js';
import { ENDING_SIGNALS } from '../terminal.js';
import { ConsoleFiles } from '../up/console-files.js';
import { GuestFiles } from '../up/guest-file.js';
import { type Guest, Guests } from '../up/guests.js';
import { printLines } from '../up/prefixed-lines.js';
import { Screen } from '../up/screen.js';
import { serveHostXenstore } from '../xenstore-socket.js';

export interface UpCommandOptions extends HostCommandOptions {
  memory?: number;
  consoleDir?: string;
  host?: string;
  socket?: string;
  paused?: boolean;
}

/** Room for guests that are made later, unless `--memory` says how much. */
const LEAST_MEMORY_MIB = 512;

/** `xenolith up GUEST.cfg…`: one host with several guests, until all have ended. */
export async function upCommand(paths: readonly string[], options: UpCommandOptions): Promise<number> {
  const files = new GuestFiles();
  const read = paths.map((path) => files.read(path));
  const needed = read.reduce((sum, { config }) => sum + config.memoryMiB, 0);
  const consoles =
    options.consoleDir === undefined ? undefined : new ConsoleFiles(options.consoleDir, (line) => tell(line));
  const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;

  const stop = new AbortController();
  const statuses: ExitStatus[] = [];
  const stopWith = (status: ExitStatus): void => {
    statuses.push(status);
    stop.abort();
  };
  const known: { guests?: Guests; host?: Host } = {};
  const screen = interactive
    ? new Screen(() => known.guests!, {
        onLeave: () => stopWith(ExitStatus.left),
        onOutputClosed: () => stopWith(ExitStatus.outputClosed),
      })
    : undefined;
  if (!screen) {
    process.stdout.on('error', () => stopWith(ExitStatus.outputClosed));
    // What is to be tidied at the exit (the control socket) is then tidied.
    for (const [signal, number] of Object.entries(ENDING_SIGNALS))
      process.once(signal, () => process.exit(128 + number));
  }
  const say = (line: string): void => {
    if (screen) screen.terminal.say(line);
    else process.stderr.write(`${line}\n`);
  };
  // A report is long: on a terminal it stands on the guest's own console, and at the end on standard error.
  const reports: string[] = [];
  const report = ({ console, domain }: Guest, result: DomainResult): void => {
    const text = crashText(result, domain.name);
    if (!screen) {
      say(`xenolith: ${text}`);
      return;
    }
    reports.push(text);
    console.write(new TextEncoder().encode(`\r\n${text.replaceAll('\n', '\r\n')}\r\n`));
  };
  const tell = (text: string): void => (screen ? screen.notice(text) : say(`xenolith: ${text}`));

  const host = await createHost({
    memoryMiB: options.memory ?? Math.max(needed, LEAST_MEMORY_MIB),
    clock: options.clock,
    scheduler: options.sched,
    eventLoop: nodeEventLoop,
    log: logger(options.log, say),
    statistics: options.stats ?? false,
    ...(options.trace && { trace: tracer(options.trace, say, () => known.host?.hypervisor.clock.now ?? 0) }),
  });
  known.host = host;
  const everyone: GuestDomain[] = [];
  const guests = new Guests({
    host,
    onCreated(guest) {
      everyone.push(guest.domain);
      consoles?.add(guest);
      if (screen) screen.created(guest);
      else if (!consoles) printLines(guest, (text) => process.stdout.write(text));
    },
    onShutdown(guest, how, action) {
      // The end itself is told when it has come.
      if (action === 'destroy' || action === 'coredump-destroy' || action === 'soft-reset') return;
      const name = nameOf(guest);
      if (how.crash) report(guest, how);
      tell(`${name} ${what(how)}, ${action === 'preserve' ? 'and is kept' : 'and starts again'}`);
    },
    onEnded(guest, result) {
      statuses.push(statusOf(result));
      // One that was kept has been reported.
      if (result.crash && guest.domain.halted === undefined) report(guest, result);
      if (screen || !result.crash) tell(`${guest.domain.name} ${what(result)}`);
      if (result.restartProblem) tell(`${guest.domain.name} cannot start again: ${result.restartProblem}`);
      screen?.ended(guest);
    },
  });
  known.guests = guests;

  const control = await ControlServer.open(guests, files, {
    ...(options.socket !== undefined && { socket: options.socket }),
    ...(options.host !== undefined && { hostName: options.host }),
  });
  const xenstore =
    options.xenstoreSocket === undefined ? undefined : await serveHostXenstore(host, options.xenstoreSocket);
  const timer = options.timeout && setTimeout(() => stopWith(ExitStatus.timeout), options.timeout * 1000);
  const start = performance.now();
  try {
    for (const { warnings } of read) for (const warning of warnings) say(`xenolith: ${warning}`);
    screen?.terminal.open();
    // All or none: what the second cannot have must not be found when the first has run.
    const made = [];
    for (const file of read) made.push(await guests.create(file, { paused: true }));
    if (!options.paused) for (const { domain } of made) domain.unpause();
    await host.run({ signal: stop.signal });
    // Whoever waits for an end hears of it first.
    await nodeEventLoop.turn();
  } finally {
    clearTimeout(timer);
    control.close();
    await xenstore?.close();
    screen?.terminal.close();
  }
  const elapsed = (performance.now() - start) / 1000;
  for (const { halted } of host.domains) if (halted) statuses.push(statusOf(halted));
  for (const text of reports) say(`xenolith: ${text}`);
  if (statuses.includes(ExitStatus.timeout))
    say(`xenolith: ${running(host)} still running after ${options.timeout} s (--timeout)`);
  if (statuses.includes(ExitStatus.left)) say('xenolith: you left; all guests are gone');
  if (options.stats) say(statsText(host, everyone, elapsed));
  return worstOf(statuses);
}

const nameOf = ({ domain }: Guest): string => domain.name;

function what({ reason, code, crash }: DomainResult): string {
  switch (reason) {
    case 'poweroff':
      return 'powered off';
    case 'reboot':
      return 'rebooted';
    case 'suspend':
      return 'suspended itself; it cannot be resumed';
    case 'destroyed':
      return 'was destroyed';
    case 'watchdog':
      return 'hung: its watchdog fired';
    case 'crash':
      return `crashed${crash ? `: ${crash.reason}` : ''}`;
    default:
      return `stopped with the reason ${code}`;
  }
}

function running({ domains }: Host): string {
  const names = domains.map(({ name }) => name);
  return `${names.join(', ')} ${names.length === 1 ? 'was' : 'were'}`;
}
