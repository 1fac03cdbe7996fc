import { BadInputError } from '@xenolith/host-interface';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '@xenolith/xen-abi';
import { hex } from '../reader.js';
import type { PvKernel } from './kernel.js';
import { type Mapping, PAGE_SIZE, planMapping, VIRTUAL_END } from './page-tables.js';

const MAPPING_ALIGNMENT = 4 << 20;
/** Xen leaves 512 KiB free in the initial mapping; the boot stack counts as one page besides. */
const SLACK_PAGES = (512 << 10) / PAGE_SIZE + 1;

/** A run of pages with one purpose. */
export interface Region {
  readonly name:
    | 'kernel'
    | 'ramdisk'
    | 'p2m'
    | 'start info'
    | 'xenstore'
    | 'console'
    | 'page tables'
    | 'boot stack';
  readonly pfn: number;
  readonly pages: number;
  /** Where the guest sees it when it starts; absent: nowhere. */
  readonly virtual?: bigint;
}

/** Where everything of a new 64-bit PV domain lies. Pages of no region are free memory. */
export interface PvLayout {
  /** Size of the domain. */
  readonly pages: number;
  readonly regions: readonly Region[];
  readonly kernel: Region;
  /** `bytes` is what the guest is told; mapped or not by whether it has `virtual`. */
  readonly ramdisk?: Region & { readonly bytes: number };
  /** The list of mfns, and behind it its own page tables if it is mapped on its own. */
  readonly p2m: Region & { readonly virtual: bigint; readonly listPages: number };
  readonly startInfo: Region & { readonly virtual: bigint };
  readonly xenstore: Region;
  readonly console: Region;
  readonly pageTables: Region & { readonly virtual: bigint };
  readonly bootStack: Region & { readonly virtual: bigint };
  /** The initial mapping from VIRT_BASE on, and the p2m's own if it has one. */
  readonly mappings: readonly Mapping[];
  /** First virtual address after the initial mapping. */
  readonly mappedEnd: bigint;
  /** First pfn that nothing uses. */
  readonly end: number;
}

/**
 * Lays out a new domain as Xen's domain builder does (libxc of Xen 4.17): from VIRT_BASE on the kernel, the ramdisk (if
 * the kernel wants it mapped), the p2m (if it has no address of its own), start info, xenstore and console pages, page
 * tables and boot stack, all in one mapping that ends on a multiple of 4 MiB with at least 512 KiB free; then the
 * unmapped ramdisk, and the p2m with its own page tables.
 * @param pages size of the domain
 * @param ramdiskBytes size of the ramdisk as it is placed; 0: there is none
 * @throws BadInputError if the domain is too small (the message says what is needed), or the addresses are impossible
 */
export function layoutPvDomain(kernel: PvKernel, pages: number, ramdiskBytes = 0): PvLayout {
  if (!Number.isInteger(pages) || pages < 1 || pages > 2 ** 32) {
    throw new BadInputError(`A domain cannot have ${pages} pages of memory.`);
  }
  const layout = place(kernel, pages, ramdiskBytes);
  if (layout.end <= pages) return layout;
  const needed = pagesNeeded(kernel, layout.end, ramdiskBytes);
  const what =
    ramdiskBytes > 0 && pagesNeeded(kernel, 1, 0) <= pages
      ? `The ramdisk does not fit: with its ${mebibytes(ramdiskBytes / PAGE_SIZE)} (as unpacked) the domain`
      : 'The domain has too little memory: with this kernel it';
  throw new BadInputError(
    `${what} needs at least ${mebibytes(needed)} to start, but has ${mebibytes(pages)}.`,
  );
}

/** Smallest domain, in pages, that holds all: a larger domain has a larger p2m, hence the loop. */
function pagesNeeded(kernel: PvKernel, guess: number, ramdiskBytes: number): number {
  let pages = guess;
  for (;;) {
    const { end } = place(kernel, pages, ramdiskBytes);
    if (end <= pages) return end;
    pages = end;
  }
}

const mebibytes = (pages: number): string => `${Math.ceil((pages * PAGE_SIZE) / (1 << 20))} MiB`;

function place(kernel: PvKernel, pages: number, ramdiskBytes: number): PvLayout {
  const { virtBase } = kernel;
  const regions: Region[] = [];
  let end = 0;
  const allocate = <N extends Region['name']>(name: N, count: number): Region & { virtual: bigint } => {
    const region = { name, pfn: end, pages: count, virtual: virtBase + BigInt(end) * BigInt(PAGE_SIZE) };
    regions.push(region);
    end += count;
    return region;
  };
  const allocateUnmapped = (name: Region['name'], count: number, virtual?: bigint): Region => {
    const region = { name, pfn: end, pages: count, ...(virtual === undefined ? {} : { virtual }) };
    regions.push(region);
    end += count;
    return region;
  };

  end = Number((kernel.virtStart - virtBase) / BigInt(PAGE_SIZE));
  const kernelRegion = allocate('kernel', pagesOf(Number(kernel.virtEnd - kernel.virtStart)));
  let ramdisk: (Region & { bytes: number }) | undefined;
  const ramdiskPages = pagesOf(ramdiskBytes);
  if (ramdiskBytes > 0 && !kernel.notes.modStartPfn) {
    ramdisk = { ...allocate('ramdisk', ramdiskPages), bytes: ramdiskBytes };
  }
  const listPages = pagesOf(pages * 8);
  let p2m: (Region & { virtual: bigint; listPages: number }) | undefined;
  if (kernel.p2mBase === undefined) p2m = { ...allocate('p2m', listPages), listPages };
  const startInfo = allocate('start info', 1);
  const xenstore = allocate('xenstore', 1);
  const console = allocate('console', 1);
  const initial = initialMapping(kernel, end);
  const pageTables = allocate('page tables', initial.tables);
  const bootStack = allocate('boot stack', 1);
  end = (initial.to + 1 - initial.from) / PAGE_SIZE;
  const mappedEnd = virtBase + BigInt(initial.to + 1 - initial.from);
  const mappings = [initial];
  checkHypercallPage(kernel, mappedEnd);

  if (ramdiskBytes > 0 && kernel.notes.modStartPfn) {
    ramdisk = { ...allocateUnmapped('ramdisk', ramdiskPages), bytes: ramdiskPages * PAGE_SIZE };
  }
  if (p2m === undefined) {
    const base = kernel.p2mBase!;
    const from = checkRange('INIT_P2M', base, listPages * PAGE_SIZE);
    const mapping = planMapping(mappings, from, from + listPages * PAGE_SIZE - 1, end, end + listPages);
    mappings.push(mapping);
    p2m = { ...allocateUnmapped('p2m', listPages + mapping.tables, base), virtual: base, listPages };
  }
  return {
    pages,
    regions,
    kernel: kernelRegion,
    ...(ramdisk === undefined ? {} : { ramdisk }),
    p2m,
    startInfo,
    xenstore,
    console,
    pageTables,
    bootStack,
    mappings,
    mappedEnd,
    end,
  };
}

const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE);

/** Page tables map themselves, so their number and the end of the mapping are found together. */
function initialMapping(kernel: PvKernel, end: number): Mapping {
  const from = checkRange('VIRT_BASE', kernel.virtBase, end * PAGE_SIZE);
  let extra = SLACK_PAGES;
  for (;;) {
    const needed = from + (end + extra) * PAGE_SIZE;
    const to = Math.ceil((needed + 1) / MAPPING_ALIGNMENT) * MAPPING_ALIGNMENT - 1;
    checkRange('VIRT_BASE', kernel.virtBase, to + 1 - from);
    const mapping = planMapping([], from, to, 0, end);
    extra = mapping.tables + SLACK_PAGES;
    if (from + (end + extra) * PAGE_SIZE <= to + 1) return mapping;
  }
}

/** @returns the low 48 bits of a mapping's start, after checking that Xen lets a guest map there */
function checkRange(what: string, start: bigint, bytes: number): number {
  const end = start + BigInt(bytes);
  const canonical = BigInt.asUintN(64, BigInt.asIntN(48, start)) === start;
  const low = Number(BigInt.asUintN(48, start));
  const outside =
    !canonical ||
    low + bytes > VIRTUAL_END ||
    (start < HYPERVISOR_VIRT_START && low + bytes > VIRTUAL_END / 2);
  if (outside || (start < HYPERVISOR_VIRT_END && end > HYPERVISOR_VIRT_START)) {
    throw new BadInputError(
      `The kernel cannot be mapped where it asks to be: ${what} ${hex(start)} with ${hex(bytes)} bytes leaves the ` +
        `addresses that a guest may use (Xen has ${hex(HYPERVISOR_VIRT_START)} to ${hex(HYPERVISOR_VIRT_END)}).`,
    );
  }
  return low;
}

function checkHypercallPage({ hypercallPage: page }: PvKernel, mappedEnd: bigint): void {
  if (page === undefined || page + BigInt(PAGE_SIZE) <= mappedEnd) return;
  throw new BadInputError(
    `The kernel's HYPERCALL_PAGE ${hex(page)} lies beyond its initial mapping, which ends at ${hex(mappedEnd)}.`,
  );
}
