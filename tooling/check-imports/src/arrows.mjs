/**
 * Which package may use which, the design's table as data (names without `@xenolith/`). `host-interface` holds the
 * types and error classes that every part shares, so all may use it but the protocol packages, which must be of use
 * to people who have nothing else of ours. A package that is not listed here fails the check: its place in the design
 * is decided before its code is written.
 * @type {Record<string, readonly string[]>}
 */
export const ARROWS = {
  'xen-abi': [],
  'wasm-builder': [],
  'host-interface': [],
  'guest-api': ['xen-abi', 'host-interface'],
  mmu: ['xen-abi', 'wasm-builder', 'host-interface'],
  'cpu-emulator': ['wasm-builder', 'mmu', 'host-interface'],
  'event-channels': ['xen-abi', 'host-interface'],
  'grant-tables': ['xen-abi', 'host-interface'],
  xenstore: ['xen-abi'],
  'shared-ring': ['xen-abi'],
  xenbus: ['xen-abi', 'guest-api', 'xenstore', 'host-interface'],
  'hypervisor-core': [
    'xen-abi',
    'wasm-builder',
    'host-interface',
    'guest-api',
    'mmu',
    'cpu-emulator',
    'event-channels',
    'grant-tables',
  ],
  'domain-builder': ['xen-abi', 'host-interface'],
  console: ['xen-abi', 'guest-api', 'xenbus', 'shared-ring', 'host-interface'],
  blkback: ['xen-abi', 'guest-api', 'xenbus', 'shared-ring', 'host-interface'],
  netback: ['xen-abi', 'guest-api', 'xenbus', 'shared-ring', 'host-interface'],
  'guest-kernels': ['xen-abi', 'guest-api', 'host-interface'],
  host: [
    'xen-abi',
    'wasm-builder',
    'host-interface',
    'guest-api',
    'mmu',
    'cpu-emulator',
    'event-channels',
    'grant-tables',
    'xenstore',
    'shared-ring',
    'xenbus',
    'hypervisor-core',
    'domain-builder',
    'console',
    'blkback',
    'netback',
    'guest-kernels',
  ],
};

/** Packages for people who have nothing else of ours: no runtime dependency beyond xen-abi. */
export const PROTOCOL_PACKAGES = ['xen-abi', 'xenstore', 'shared-ring'];

/** Folders of other packages that are held to the same rule, so that they can be used alone. */
export const PROTOCOL_FOLDERS = { blkback: 'src/codec/', netback: 'src/codec/' };

/** Entries that one package must not use although it may use the package: the processor never sees the frame table. */
export const FORBIDDEN_ENTRIES = { 'cpu-emulator': ['@xenolith/mmu/frames'] };
