import { BadInputError } from '@xenolith/host-interface';
import {
  XENFEAT_auto_translated_physmap,
  XENFEAT_dom0,
  XENFEAT_gnttab_map_avail_bits,
  XENFEAT_highmem_assist,
  XENFEAT_hvm_callback_vector,
  XENFEAT_hvm_pirqs,
  XENFEAT_hvm_safe_pvclock,
  XENFEAT_linux_rsdp_unrestricted,
  XENFEAT_memory_op_vnode_supported,
  XENFEAT_mmu_pt_update_preserve_ad,
  XENFEAT_pae_pgdir_above_4gb,
  XENFEAT_supervisor_mode_kernel,
  XENFEAT_writable_descriptor_tables,
  XENFEAT_writable_page_tables,
} from '@xenolith/xen-abi';
import { printable } from '../reader.js';

/** The names that feature strings know (`XENFEAT_…` of public/features.h without the prefix), by bit number. */
const FEATURE_BITS: ReadonlyMap<string, number> = new Map([
  ['writable_page_tables', XENFEAT_writable_page_tables],
  ['writable_descriptor_tables', XENFEAT_writable_descriptor_tables],
  ['auto_translated_physmap', XENFEAT_auto_translated_physmap],
  ['supervisor_mode_kernel', XENFEAT_supervisor_mode_kernel],
  ['pae_pgdir_above_4gb', XENFEAT_pae_pgdir_above_4gb],
  ['hvm_callback_vector', XENFEAT_hvm_callback_vector],
  ['dom0', XENFEAT_dom0],
]);

/** Features that no string names, but a set may contain. */
const OTHER_FEATURES: readonly (readonly [string, number])[] = [
  ['mmu_pt_update_preserve_ad', XENFEAT_mmu_pt_update_preserve_ad],
  ['highmem_assist', XENFEAT_highmem_assist],
  ['gnttab_map_avail_bits', XENFEAT_gnttab_map_avail_bits],
  ['hvm_safe_pvclock', XENFEAT_hvm_safe_pvclock],
  ['hvm_pirqs', XENFEAT_hvm_pirqs],
  ['memory_op_vnode_supported', XENFEAT_memory_op_vnode_supported],
  ['linux_rsdp_unrestricted', XENFEAT_linux_rsdp_unrestricted],
];
const FEATURE_NAMES = new Map([...FEATURE_BITS, ...OTHER_FEATURES].map(([name, bit]) => [bit, name]));

/** Bit sets of `XENFEAT_…` numbers (submap 0). */
export interface FeatureSet {
  readonly supported: number;
  /** Those that the kernel cannot do without; always in `supported` too. */
  readonly required: number;
}

/**
 * Parses a feature string such as `!writable_page_tables|pae_pgdir_above_4gb` (XEN_ELFNOTE_FEATURES): names separated
 * by `|`, required ones preceded by `!`. Unknown optional names are ignored.
 * @throws BadInputError for a required feature that nobody knows
 */
export function parseFeatures(text: string): FeatureSet {
  let supported = 0;
  let required = 0;
  for (const word of text.split('|')) {
    const must = word.startsWith('!');
    const bit = FEATURE_BITS.get(must ? word.slice(1) : word);
    if (bit !== undefined) {
      supported |= 1 << bit;
      if (must) required |= 1 << bit;
    } else if (must) {
      throw new BadInputError(
        `The kernel requires the unknown Xen feature '${printable(word.slice(1))}' (its features: '${printable(text)}').`,
      );
    }
  }
  return { supported: supported >>> 0, required: required >>> 0 };
}

/** Names of the features in a bit set, `bit N` for those without a name. */
export function featureNames(features: number): string[] {
  const found: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if ((features >>> bit) & 1) found.push(FEATURE_NAMES.get(bit) ?? `bit ${bit}`);
  }
  return found;
}

/**
 * What libxc checks before it starts a PV domain: the features that the configuration requests and those that the
 * kernel requires become active, and the kernel must support all of them; a kernel for domain 0 only, and one that
 * needs the auto-translated mode that PV no longer has, are refused.
 * @param requested features asked for by the configuration, in the syntax of {@link parseFeatures}
 * @returns the active features
 * @throws BadInputError if the kernel cannot be started
 */
export function checkFeatures(kernel: FeatureSet, requested = ''): number {
  const has = (set: number, bit: number): boolean => ((set >>> bit) & 1) === 1;
  if (has(kernel.required, XENFEAT_dom0)) {
    throw new BadInputError("The kernel can only run as domain 0: it requires the feature 'dom0'.");
  }
  const active = (kernel.required | parseFeatures(requested).supported) >>> 0;
  const missing = (active & ~kernel.supported) >>> 0;
  if (missing !== 0) {
    throw new BadInputError(
      `The kernel does not support the requested features ${featureNames(missing).join(', ')}: ` +
        `it supports ${featureNames(kernel.supported).join(', ') || 'none'}.`,
    );
  }
  if (has(active, XENFEAT_auto_translated_physmap)) {
    throw new BadInputError(
      "The kernel requires the feature 'auto_translated_physmap', which Xen 4.17 no longer offers to PV guests.",
    );
  }
  return active;
}
