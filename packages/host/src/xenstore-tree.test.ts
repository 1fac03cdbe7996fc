import { LocalXenstore, XenstoreServer } from '@xenolith/xenstore';
import { describe, expect, it } from 'vitest';
import {
  moveDomainEntries,
  removeDomainEntries,
  writeDomainEntries,
  writeHostEntries,
  writeVcpuAvailability,
} from './xenstore-tree.js';

const UUID = 'daf2d190-e673-11f1-9fe3-9b4e4a520ffe';

/** `xenstore-ls -fp /` of a real host with a PV guest made by xl 4.17, before that guest has written anything. */
const REAL = `
/tool = ""   (n0)
/tool/xenstored = ""   (n0)
/local = ""   (n0)
/local/domain = ""   (n0)
/local/domain/0 = ""   (n0)
/local/domain/0/control = ""   (n0)
/local/domain/0/control/feature-poweroff = "1"   (n0)
/local/domain/0/control/feature-reboot = "1"   (n0)
/local/domain/0/control/feature-suspend = "1"   (n0)
/local/domain/0/domid = "0"   (n0)
/local/domain/0/name = "Domain-0"   (n0)
/local/domain/0/backend = ""   (n0)
/local/domain/0/backend/console = ""   (n0)
/local/domain/0/backend/console/1 = ""   (n0)
/local/domain/0/backend/console/1/0 = ""   (n0,r1)
/local/domain/0/backend/console/1/0/frontend = "/local/domain/1/console"   (n0,r1)
/local/domain/0/backend/console/1/0/frontend-id = "1"   (n0,r1)
/local/domain/0/backend/console/1/0/online = "1"   (n0,r1)
/local/domain/0/backend/console/1/0/state = "1"   (n0,r1)
/local/domain/0/backend/console/1/0/protocol = "vt100"   (n0,r1)
/local/domain/1 = ""   (n0,r1)
/local/domain/1/vm = "/vm/${UUID}"   (n0,r1)
/local/domain/1/name = "ref1"   (n0,r1)
/local/domain/1/cpu = ""   (n0,r1)
/local/domain/1/cpu/0 = ""   (n0,r1)
/local/domain/1/cpu/0/availability = "online"   (n0,r1)
/local/domain/1/memory = ""   (n0,r1)
/local/domain/1/memory/static-max = "524288"   (n0,r1)
/local/domain/1/memory/target = "524288"   (n0,r1)
/local/domain/1/memory/videoram = "0"   (n0,r1)
/local/domain/1/device = ""   (n0,r1)
/local/domain/1/device/suspend = ""   (n0,r1)
/local/domain/1/device/suspend/event-channel = ""   (n1)
/local/domain/1/control = ""   (n0,r1)
/local/domain/1/control/shutdown = ""   (n1)
/local/domain/1/control/feature-poweroff = ""   (n1)
/local/domain/1/control/feature-reboot = ""   (n1)
/local/domain/1/control/feature-suspend = ""   (n1)
/local/domain/1/control/sysrq = ""   (n1)
/local/domain/1/control/platform-feature-multiprocessor-suspend = "1"   (n0,r1)
/local/domain/1/control/platform-feature-xs_reset_watches = "1"   (n0,r1)
/local/domain/1/data = ""   (n1)
/local/domain/1/drivers = ""   (n1)
/local/domain/1/feature = ""   (n1)
/local/domain/1/attr = ""   (n1)
/local/domain/1/error = ""   (n1)
/local/domain/1/domid = "1"   (n0,r1)
/local/domain/1/store = ""   (n0,r1)
/local/domain/1/store/port = "1"   (n0,r1)
/local/domain/1/store/ring-ref = "259585"   (n0,r1)
/local/domain/1/console = ""   (n0,r1)
/local/domain/1/console/backend = "/local/domain/0/backend/console/1/0"   (n0,r1)
/local/domain/1/console/backend-id = "0"   (n1,r0)
/local/domain/1/console/limit = "1048576"   (n0,r1)
/local/domain/1/console/type = "xenconsoled"   (n0,r1)
/local/domain/1/console/output = "pty"   (n0,r1)
/local/domain/1/console/tty = "/dev/pts/0"   (n0,r1)
/local/domain/1/console/port = "2"   (n0,r1)
/local/domain/1/console/ring-ref = "259586"   (n0,r1)
/local/pool = ""   (n0)
/local/pool/0 = ""   (n0)
/local/pool/0/name = "Pool-0"   (n0)
/vm = ""   (n0)
/vm/${UUID} = ""   (n0,r1)
/vm/${UUID}/name = "ref1"   (n0,r1)
/vm/${UUID}/uuid = "${UUID}"   (n0,r1)
/vm/${UUID}/image = ""   (n0,r1)
/vm/${UUID}/image/ostype = "linux"   (n0,r1)
/vm/${UUID}/image/kernel = "/t/k/vmlinux"   (n0,r1)
/vm/${UUID}/image/ramdisk = "/t/k/initrd"   (n0,r1)
/vm/${UUID}/image/cmdline = "console=hvc0"   (n0,r1)
/vm/${UUID}/start_time = "1795352069.58"   (n0,r1)
/libxl = ""   (n0)
/libxl/1 = ""   (n0)
/libxl/1/device = ""   (n0)
/libxl/1/device/console = ""   (n0)
/libxl/1/device/console/0 = ""   (n0)
/libxl/1/device/console/0/frontend = "/local/domain/1/console"   (n0)
/libxl/1/device/console/0/backend = "/local/domain/0/backend/console/1/0"   (n0)
/libxl/1/device/console/0/frontend-id = "1"   (n0)
/libxl/1/device/console/0/online = "1"   (n0)
/libxl/1/device/console/0/state = "1"   (n0)
/libxl/1/device/console/0/protocol = "vt100"   (n0)
/libxl/1/type = "pv"   (n0)
/libxl/1/dm-version = "qemu_xen"   (n0)`;

function dump(store: LocalXenstore, path = ''): string[] {
  return store.list(path || '/').flatMap((name) => {
    const child = `${path}/${name}`;
    const permissions = store.getPermissions(child).map(({ access, domid }) => `${access}${domid}`);
    return [`${child} = "${store.read(child)}"   (${permissions.join()})`, ...dump(store, child)];
  });
}

function create(): LocalXenstore {
  const store = new LocalXenstore(new XenstoreServer());
  writeHostEntries(store);
  return store;
}

const entries = {
  domid: 1,
  name: 'ref1',
  uuid: UUID,
  memoryKiB: 524_288,
  maxMemoryKiB: 524_288,
  vcpus: 1,
  maxVcpus: 1,
  store: { port: 1, mfn: 259_585 },
  console: { port: 2, mfn: 259_586 },
  kernel: '/t/k/vmlinux',
  ramdisk: '/t/k/initrd',
  cmdline: 'console=hvc0',
  startedNs: 1_795_352_069_580_000_000n,
};

describe('the tree of a PV domain', () => {
  it('is what xl writes, values and permissions', () => {
    const store = create();
    writeDomainEntries(store, entries);
    expect(dump(store).sort()).toEqual(REAL.trim().split('\n').sort());
  });

  it('names every vCPU, and no ramdisk where there is none', () => {
    const store = create();
    writeDomainEntries(store, { ...entries, vcpus: 2, maxVcpus: 3, ramdisk: undefined });
    const availability = () =>
      store.list('/local/domain/1/cpu').map((id) => store.read(`/local/domain/1/cpu/${id}/availability`));
    expect(availability()).toEqual(['online', 'online', 'offline']);
    writeVcpuAvailability(store, 1, 3, 1);
    expect(availability()).toEqual(['online', 'offline', 'offline']);
    expect(store.list(`/vm/${UUID}/image`).sort()).toEqual(['cmdline', 'kernel', 'ostype']);
  });

  it('moves to another name and UUID', () => {
    const store = create();
    writeDomainEntries(store, entries);
    moveDomainEntries(store, 1, UUID, { name: 'kept', uuid: 'another' });
    expect(store.list('/vm')).toEqual(['another']);
    expect(store.read('/local/domain/1/vm')).toBe('/vm/another');
    expect([store.read('/local/domain/1/name'), store.read('/vm/another/name')]).toEqual(['kept', 'kept']);
    removeDomainEntries(store, 1, 'another');
    expect(store.list('/vm')).toEqual([]);
  });

  it('goes without a trace, whatever the guest put there', () => {
    const store = create();
    writeDomainEntries(store, entries);
    const before = dump(create());
    store.write('/local/domain/1/data/of/the/guest', 'x');
    removeDomainEntries(store, 1, UUID);
    const left = dump(store).filter((line) => !line.startsWith('/local/domain/0/backend'));
    expect(left.sort()).toEqual(before.sort());
    removeDomainEntries(store, 1, UUID);
  });
});
