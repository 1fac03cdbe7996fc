import type { LocalXenstore, Permission } from '@xenolith/xenstore';

/** What of a new PV domain is written into xenstore. */
export interface DomainEntries {
  readonly domid: number;
  readonly name: string;
  readonly uuid: string;
  readonly memoryKiB: number;
  readonly maxMemoryKiB: number;
  /** Online at the start, and at most. */
  readonly vcpus: number;
  readonly maxVcpus: number;
  readonly store: { readonly port: number; readonly mfn: number };
  readonly console: { readonly port: number; readonly mfn: number };
  /** Where kernel and ramdisk come from, as a person may want to see it. */
  readonly kernel: string;
  readonly ramdisk?: string | undefined;
  readonly cmdline: string;
  /** Wall-clock time in nanoseconds since 1970. */
  readonly startedNs: bigint;
  /** It is to serve devices of other domains (`driver_domain` of xl.cfg). */
  readonly driverDomain?: boolean;
}

/** LIBXL_XENCONSOLE_LIMIT */
const CONSOLE_LIMIT = '1048576';

type Entries = Record<string, string>;

const writeAll = (store: LocalXenstore, base: string, entries: Entries) => {
  for (const [path, value] of Object.entries(entries)) store.write(`${base}/${path}`, value);
};

/** The host's own entries, as domain 0's start scripts leave them (`xen-init-dom0`, Linux in domain 0). */
export function writeHostEntries(store: LocalXenstore): void {
  writeAll(store, '/local/domain/0', {
    'control/feature-poweroff': '1',
    'control/feature-reboot': '1',
    'control/feature-suspend': '1',
    domid: '0',
    name: 'Domain-0',
  });
  store.write('/local/pool/0/name', 'Pool-0');
  store.mkdir('/vm');
  store.mkdir('/libxl');
}

/** All that `xl create` writes for a PV domain (libxl_create.c, libxl_dom.c, libxl_console.c), in one transaction. */
export function writeDomainEntries(store: LocalXenstore, entries: DomainEntries): void {
  store.transaction(() => {
    const { domid } = entries;
    const none: Permission[] = [{ domid: 0, access: 'n' }];
    const readable: Permission[] = [...none, { domid, access: 'r' }];
    const own: Permission[] = [{ domid, access: 'n' }];
    const make = (path: string, permissions: Permission[]) => {
      store.write(path, '');
      store.setPermissions(path, permissions);
    };
    const home = `/local/domain/${domid}`;
    const vm = `/vm/${entries.uuid}`;
    make(home, readable);
    make(vm, readable);
    make(`/libxl/${domid}`, none);
    make(`/libxl/${domid}/device`, none);
    store.write(`${home}/vm`, vm);
    store.write(`${home}/name`, entries.name);
    for (const path of ['cpu', 'memory', 'device', 'control']) make(`${home}/${path}`, readable);
    for (const path of [...GUESTS_OWN, ...(entries.driverDomain ? DRIVER_DOMAINS_OWN : [])])
      make(`${home}/${path}`, own);
    store.setPermissions(`${home}/device/suspend`, readable);
    writeAll(store, vm, { uuid: entries.uuid, name: entries.name });
    writeAll(store, home, {
      'control/platform-feature-multiprocessor-suspend': '1',
      'control/platform-feature-xs_reset_watches': '1',
      'memory/static-max': String(entries.maxMemoryKiB),
      'memory/target': String(entries.memoryKiB),
      'memory/videoram': '0',
      domid: String(domid),
      'store/port': String(entries.store.port),
      'store/ring-ref': String(entries.store.mfn),
    });
    writeVcpuAvailability(store, domid, entries.maxVcpus, entries.vcpus);
    writeAll(store, vm, {
      'image/ostype': 'linux',
      'image/kernel': entries.kernel,
      ...(entries.ramdisk !== undefined && { 'image/ramdisk': entries.ramdisk }),
      'image/cmdline': entries.cmdline,
      start_time: seconds(entries.startedNs),
    });
    writeAll(store, `/libxl/${domid}`, { type: 'pv', 'dm-version': 'qemu_xen' });
    writeConsole(store, entries, { home, none, readable });
  });
}

/** Tells a domain which of its `max` vCPUs should be online: the first `count` (libxl__set_vcpuonline_xenstore). */
export function writeVcpuAvailability(store: LocalXenstore, domid: number, max: number, count: number): void {
  for (let id = 0; id < max; id++) {
    store.write(`/local/domain/${domid}/cpu/${id}/availability`, id < count ? 'online' : 'offline');
  }
}

/** Nodes that the guest may write, all empty at first. */
const GUESTS_OWN = [
  'device/suspend/event-channel',
  'control/shutdown',
  'control/feature-poweroff',
  'control/feature-reboot',
  'control/feature-suspend',
  'control/sysrq',
  'data',
  'drivers',
  'feature',
  'attr',
  'error',
];

/** And those of a driver domain: `xl devd` works with the first, a QEMU there with the second. */
const DRIVER_DOMAINS_OWN = ['libxl', 'device-model'];

function writeConsole(
  store: LocalXenstore,
  { domid, console }: DomainEntries,
  { home, none, readable }: { home: string; none: Permission[]; readable: Permission[] },
): void {
  const front = `${home}/console`;
  const back = `/local/domain/0/backend/console/${domid}/0`;
  const libxl = `/libxl/${domid}/device/console/0`;
  store.write(front, '');
  store.setPermissions(front, readable);
  store.write(`${front}/backend`, back);
  store.write(`${front}/backend-id`, '0');
  store.setPermissions(`${front}/backend-id`, [
    { domid, access: 'n' },
    { domid: 0, access: 'r' },
  ]);
  writeAll(store, front, {
    limit: CONSOLE_LIMIT,
    type: 'xenconsoled',
    output: 'pty',
    // The first console of domain 0's xenconsoled; no guest follows this path.
    tty: '/dev/pts/0',
    port: String(console.port),
    'ring-ref': String(console.mfn),
  });
  const backend: Entries = {
    frontend: front,
    'frontend-id': String(domid),
    online: '1',
    state: '1',
    protocol: 'vt100',
  };
  store.write(back, '');
  store.setPermissions(back, readable);
  writeAll(store, back, backend);
  store.write(libxl, '');
  store.setPermissions(libxl, none);
  writeAll(store, libxl, { frontend: front, backend: back, ...backend });
}

/** Gives a domain another name and UUID (`libxl_domain_preserve` and `libxl__domain_rename` of libxl_domain.c). */
export function moveDomainEntries(
  store: LocalXenstore,
  domid: number,
  oldUuid: string,
  { name, uuid }: { readonly name: string; readonly uuid: string },
): void {
  const vm = `/vm/${uuid}`;
  store.transaction(() => {
    store.write(vm, '');
    store.setPermissions(vm, store.getPermissions(`/vm/${oldUuid}`));
    writeAll(store, vm, { uuid, name });
    store.rm(`/vm/${oldUuid}`);
    writeAll(store, `/local/domain/${domid}`, { vm, name });
  });
}

/** Removes what `writeDomainEntries` wrote, as libxl does when a domain is destroyed. */
export function removeDomainEntries(store: LocalXenstore, domid: number, uuid: string): void {
  const paths = [
    `/local/domain/${domid}`,
    `/local/domain/0/backend/console/${domid}`,
    `/vm/${uuid}`,
    `/libxl/${domid}`,
  ];
  store.transaction(() => {
    for (const path of paths) if (store.readIfExists(path) !== undefined) store.rm(path);
  });
}

function seconds(ns: bigint): string {
  const hundredths = ns / 10_000_000n;
  return `${hundredths / 100n}.${String(hundredths % 100n).padStart(2, '0')}`;
}
