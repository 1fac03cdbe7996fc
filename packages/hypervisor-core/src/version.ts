/** The Xen that guests see, through XENVER_* and CPUID. */
export const XEN_VERSION = {
  major: 4,
  minor: 17,
  extra: '.7',
  capabilities: 'xen-3.0-x86_64 ',
  changeset: '',
  compiler: 'TypeScript',
  compileBy: 'xenolith',
  compileDomain: 'xenolith.invalid',
  compileDate: '',
} as const;
