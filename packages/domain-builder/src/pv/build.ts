import { BadInputError } from '@xenolith/host-interface';
import { MAX_GUEST_CMDLINE, SIF_MOD_START_PFN, StartInfo } from '@xenolith/xen-abi';
import { type BuildTarget, clearPages, writeBytes } from './build-target.js';
import type { PvKernel } from './kernel.js';
import { layoutPvDomain, type PvLayout } from './layout.js';
import { fillPageTables, pageView, tablePages } from './page-tables.js';
import { placeRamdisk } from './ramdisk.js';

export interface BuildOptions {
  readonly kernel: PvKernel;
  /** Ramdisk file; unpacked here if it is a gzip file, as Xen's tools do. */
  readonly ramdisk?: Uint8Array;
  /** At most 1,023 bytes of UTF-8. */
  readonly cmdline?: string;
  /** Machine frame of the shared info page. */
  readonly sharedInfoMfn: number;
  /** The guest's ports of its xenstore and console channels. */
  readonly storeEvtchn: number;
  readonly consoleEvtchn: number;
  /** `SIF_…` flags besides SIF_MOD_START_PFN; `xl` sets none for a domU. */
  readonly flags?: number;
}

/** A domain that is ready for its first vCPU, once its level-4 page table is pinned (MMUEXT_PIN_L4_TABLE). */
export interface BuiltDomain {
  readonly layout: PvLayout;
  /** RIP, RSP and RSI of the first vCPU. RFLAGS is 0x200, segments are the flat kernel ones, CR3 is the L4's frame. */
  readonly entry: bigint;
  readonly stackPointer: bigint;
  readonly startInfo: bigint;
  readonly virtBase: bigint;
  readonly startInfoPfn: number;
  readonly storePfn: number;
  readonly consolePfn: number;
  readonly l4Pfn: number;
  readonly l4Mfn: number;
  /** All page-table pages with their levels 4 … 1, the L4 first. */
  readonly pageTables: readonly { readonly pfn: number; readonly level: number }[];
  /** The page that the hypervisor fills with hypercall stubs, if the kernel has one. */
  readonly hypercallPage?: { readonly virtual: bigint; readonly pfn: number };
}

const GUEST_TYPE = 'xen-3.0-x86_64';

/**
 * Places a kernel in a new 64-bit PV domain and writes page tables, p2m and start info. Nothing is written before
 * everything has been found to fit.
 * @throws BadInputError if memory is too small, or the command line too long
 */
export function buildPvDomain(target: BuildTarget, options: BuildOptions): BuiltDomain {
  const { kernel } = options;
  const cmdline = encodeCmdline(options.cmdline ?? '');
  const ramdisk = options.ramdisk === undefined ? undefined : placeRamdisk(options.ramdisk);
  const layout = layoutPvDomain(kernel, target.pages, ramdisk?.size);

  for (const region of layout.regions) clearPages(target, region.pfn, region.pages);
  for (const { destination, offset, fileSize } of kernel.load) {
    writeBytes(
      target,
      layout.kernel.pfn,
      destination,
      kernel.elf.reader.bytes.subarray(offset, offset + fileSize),
    );
  }
  if (ramdisk !== undefined) writeBytes(target, layout.ramdisk!.pfn, 0, ramdisk.contents());
  writeP2m(target, layout);
  fillPageTables(
    layout.mappings,
    (pfn) => target.p2m(pfn),
    (pfn) => target.pageBytes(pfn),
  );
  writeStartInfo(target, layout, options, cmdline);

  const pageTables = tablePages(layout.mappings);
  const l4Pfn = pageTables[0]!.pfn;
  return {
    layout,
    entry: kernel.entry,
    stackPointer: layout.bootStack.virtual + 4096n,
    startInfo: layout.startInfo.virtual,
    virtBase: kernel.virtBase,
    startInfoPfn: layout.startInfo.pfn,
    storePfn: layout.xenstore.pfn,
    consolePfn: layout.console.pfn,
    l4Pfn,
    l4Mfn: target.p2m(l4Pfn),
    pageTables,
    ...(kernel.hypercallPage === undefined
      ? {}
      : {
          hypercallPage: {
            virtual: kernel.hypercallPage,
            pfn: Number((kernel.hypercallPage - kernel.virtBase) >> 12n),
          },
        }),
  };
}

function encodeCmdline(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length < MAX_GUEST_CMDLINE && !bytes.includes(0)) return bytes;
  throw new BadInputError(
    bytes.length < MAX_GUEST_CMDLINE
      ? 'The kernel command line has a NUL character in it.'
      : `The kernel command line has ${bytes.length} bytes: Xen passes at most ${MAX_GUEST_CMDLINE - 1}.`,
  );
}

function writeP2m(target: BuildTarget, { p2m, pages }: PvLayout): void {
  for (let first = 0; first < pages; first += 512) {
    const view = pageView(target.pageBytes(p2m.pfn + first / 512));
    const count = Math.min(512, pages - first);
    for (let i = 0; i < count; i++) view.setUint32(i * 8, target.p2m(first + i), true);
  }
}

function writeStartInfo(
  target: BuildTarget,
  layout: PvLayout,
  options: BuildOptions,
  cmdline: Uint8Array,
): void {
  const page = target.pageBytes(layout.startInfo.pfn);
  const info = StartInfo.at(pageView(page), 0);
  info.magic = GUEST_TYPE;
  info.nr_pages = BigInt(layout.pages);
  info.shared_info = BigInt(options.sharedInfoMfn) << 12n;
  info.flags = options.flags ?? 0;
  info.store_mfn = BigInt(target.p2m(layout.xenstore.pfn));
  info.store_evtchn = options.storeEvtchn;
  info.console.domU.mfn = BigInt(target.p2m(layout.console.pfn));
  info.console.domU.evtchn = options.consoleEvtchn;
  info.pt_base = layout.pageTables.virtual;
  info.nr_pt_frames = BigInt(layout.pageTables.pages);
  info.mfn_list = layout.p2m.virtual;
  if (layout.mappings.length > 1) {
    info.first_p2m_pfn = BigInt(layout.p2m.pfn);
    info.nr_p2m_frames = BigInt(layout.p2m.pages);
  }
  const { ramdisk } = layout;
  if (ramdisk !== undefined) {
    info.mod_len = BigInt(ramdisk.bytes);
    if (ramdisk.virtual === undefined) {
      info.flags |= SIF_MOD_START_PFN;
      info.mod_start = BigInt(ramdisk.pfn);
    } else info.mod_start = ramdisk.virtual;
  }
  page.set(cmdline, StartInfo.offset.cmd_line);
}
