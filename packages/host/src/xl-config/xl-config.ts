import { BadInputError } from '@xenolith/host-interface';
import { SHUTDOWN_ACTIONS, type ShutdownAction } from '../shutdown-action.js';
import { type DiskSpec, parseDiskSpec } from './disk-spec.js';
import { IGNORED, REFUSED } from './keys.js';
import { SettingReader } from './setting-reader.js';
import { parseXlSyntax } from './syntax.js';
import { parseVifSpec, type VifSpec } from './vif-spec.js';

/** A guest as an xl.cfg(5) file describes it. What the file does not say is left out, or has xl's default. */
export interface XlConfig {
  name: string;
  /** As it is written. */
  uuid?: string;
  /** Paths as they are written: relative ones are, as for xl, those of the current directory. */
  kernel: string;
  ramdisk?: string;
  /** From `cmdline`, or else from `root` and `extra`. */
  cmdline?: string;
  memoryMiB: number;
  maxMemoryMiB: number;
  vcpus: number;
  maxVcpus: number;
  /** 1 … 65,535 */
  cpuWeight?: number;
  /** Percent of one processor; 0: no limit. */
  cap?: number;
  onPoweroff: ShutdownAction;
  onReboot: ShutdownAction;
  onCrash: ShutdownAction;
  onWatchdog: ShutdownAction;
  onSoftReset: ShutdownAction;
  /** Highest event-channel port. */
  maxEventChannels?: number;
  maxGrantFrames?: number;
  maxMaptrackFrames?: number;
  maxGrantVersion?: number;
  driverDomain?: boolean;
  disks: readonly DiskSpec[];
  vifs: readonly VifSpec[];
  /** Lines about settings that are not followed, with their places; nothing that the guest could notice. */
  warnings: readonly string[];
}

/** libxl's, for a guest that has none (libxl_create.c). */
const DEFAULT_MEMORY_MIB = 32;
const MAX_VCPUS = 128;
/** EVTCHN_FIFO_NR_CHANNELS − 1 */
const MAX_EVENT_PORT = (1 << 17) - 1;

/**
 * Reads a configuration of xl(1), for a 64-bit PV guest. Settings that make another kind of machine than there is here are
 * errors; those that make no difference are warnings.
 * @param file what messages call it
 * @throws BadInputError, one line for each problem with file, line and column
 */
export function parseXlConfig(text: string, file: string): XlConfig {
  const reader = new SettingReader(parseXlSyntax(text, file), file);
  checkType(reader);
  const memoryMiB = reader.number('memory', 1) ?? reader.number('maxmem', 1) ?? DEFAULT_MEMORY_MIB;
  const maxMemoryMiB = reader.number('maxmem', 1) ?? memoryMiB;
  if (maxMemoryMiB < memoryMiB) reader.problem('maxmem', `it is less than "memory", which is ${memoryMiB}`);
  const vcpus = reader.number('vcpus', 1, MAX_VCPUS) ?? 1;
  const maxVcpus = reader.number('maxvcpus', 1, MAX_VCPUS) ?? vcpus;
  if (maxVcpus < vcpus) reader.problem('maxvcpus', `it is less than "vcpus", which is ${vcpus}`);
  const action = (key: string, fallback: ShutdownAction): ShutdownAction =>
    reader.choice(key, SHUTDOWN_ACTIONS) ?? fallback;
  const config = {
    name: reader.text('name'),
    uuid: reader.text('uuid'),
    kernel: reader.text('kernel'),
    ramdisk: reader.text('ramdisk'),
    cmdline: commandLine(reader),
    memoryMiB,
    maxMemoryMiB,
    vcpus,
    maxVcpus,
    cpuWeight: reader.number('cpu_weight', 1, 65_535),
    cap: reader.number('cap', 0, 100 * maxVcpus),
    onPoweroff: action('on_poweroff', 'destroy'),
    onReboot: action('on_reboot', 'restart'),
    onCrash: action('on_crash', 'destroy'),
    onWatchdog: action('on_watchdog', 'destroy'),
    onSoftReset: action('on_soft_reset', 'destroy'),
    // 0 is libxl's default.
    maxEventChannels: reader.number('max_event_channels', 0, MAX_EVENT_PORT) || undefined,
    maxGrantFrames: reader.number('max_grant_frames', 1, 0x7fff_ffff),
    maxMaptrackFrames: reader.number('max_maptrack_frames', 0, 0x7fff_ffff),
    maxGrantVersion: reader.number('max_grant_version', 1, 2),
    driverDomain: reader.flag('driver_domain'),
    disks: devices(reader, 'disk', parseDiskSpec),
    vifs: devices(reader, 'vif', parseVifSpec),
  };
  reader.required('name', 'every domain has one');
  reader.required('kernel', 'it is the file to boot');
  reader.others(REFUSED, IGNORED);
  if (reader.problems.length > 0) throw new BadInputError(reader.problems.join('\n'));
  const present = Object.entries(config).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(present), warnings: reader.warnings } as unknown as XlConfig;
}

function checkType(reader: SettingReader): void {
  const type = reader.text('type');
  if (type !== undefined && type !== 'pv')
    reader.problem('type', `"${type}" guests are not there: only "pv" is`);
  const builder = reader.text('builder');
  if (builder !== undefined && builder !== 'generic')
    reader.problem('builder', `"${builder}" guests are not there: only "generic", a PV guest, is`);
}

/** A list of devices, each in a syntax of its own. */
function devices<T>(reader: SettingReader, key: string, parse: (text: string) => T): T[] {
  return reader.texts(key).flatMap((text) => {
    try {
      return [parse(text)];
    } catch (error) {
      if (!(error instanceof BadInputError)) throw error;
      reader.problem(key, error.message);
      return [];
    }
  });
}

/** As xl puts it together (`parse_cmdline` of xl_parse.c). */
function commandLine(reader: SettingReader): string | undefined {
  const [cmdline, root, extra] = [reader.text('cmdline'), reader.text('root'), reader.text('extra')];
  if (cmdline !== undefined) {
    for (const key of ['root', 'extra'])
      if (reader.has(key)) reader.warn(key, 'ignored, as there is a "cmdline"');
    return cmdline;
  }
  if (root === undefined) return extra;
  return extra === undefined ? `root=${root}` : `root=${root} ${extra}`;
}
