import {
  checkTouchedFrames,
  type ExtraReferences,
  type Hypervisor,
  recountFrames,
} from '@xenolith/hypervisor-core';
import { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from '@xenolith/xen-abi';

/** References that no page table shows: registered vcpu_info, pages held for good, device and native grant mappings. */
function* extraReferences(hv: Hypervisor): Iterable<ExtraReferences> {
  for (const domain of hv.domains.values()) {
    for (const { vcpuInfoFrame: mfn } of domain.vcpus) if (mfn !== 0) yield { mfn, general: 1, writable: 1 };
    for (const mfn of domain['held'].values()) yield { mfn, general: 1, writable: 1 };
  }
  const holders = hv.grants['domains'];
  for (const holder of holders.values()) {
    for (const [, { granter: domid, ref, flags }] of holder.maptrack.live()) {
      const granter = holders.get(domid);
      if (!granter) continue;
      const { mfn } = granter.activeEntry(ref);
      const writes = flags & GNTMAP_readonly ? 0 : 1;
      if (flags & GNTMAP_device_map) yield { mfn, general: 1, writable: writes };
      const isNative = flags & GNTMAP_host_map && holder.translated;
      if (isNative)
        yield { mfn, general: 1, writable: holder === granter || !granter.translated ? writes : 0 };
    }
  }
}

/** Recounts everything and checks the invariants of event channels and grants. @throws Error that says what is wrong */
export function checkEverything(hv: Hypervisor): void {
  fail(recountFrames(hv.memory, hv.domains.values(), extraReferences(hv)));
  hv.events.checkInvariants();
  hv.grants.checkInvariants();
}

/** Checks the frames whose counts changed since the last call. @throws Error */
export function checkTouched(hv: Hypervisor): void {
  fail(checkTouchedFrames(hv.memory));
}

function fail(problems: string[]): void {
  if (problems.length > 0) throw new Error(`Frames are miscounted:\n${problems.slice(0, 10).join('\n')}`);
}
