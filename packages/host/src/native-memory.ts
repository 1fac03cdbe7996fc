import { PageAccess, type PageMemory } from '@xenolith/grant-tables';
import type { Memory, OwnPage } from '@xenolith/guest-api';
import { InvariantError } from '@xenolith/host-interface';
import type { Hypervisor, NativeDomain } from '@xenolith/hypervisor-core';
import { PAGE_SIZE } from '@xenolith/mmu';

class NativePage extends PageAccess implements OwnPage {
  private given = true;

  constructor(
    memory: PageMemory,
    view: DataView,
    mfn: number,
    readonly gfn: number,
    private readonly domain: NativeDomain,
  ) {
    super(memory, view, mfn);
  }

  giveBack(): void {
    this.given = false;
  }

  protected override check(): void {
    if (this.domain.dying) throw new RangeError(`Domain ${this.domain.domid} has ended.`);
    if (!this.given) throw new RangeError(`Page ${this.gfn} was given back.`);
  }
}

/** A native domain's memory: frames of the machine as it asks for them. */
export function nativeMemory(hv: Hypervisor, domain: NativeDomain): Memory {
  const { frames, machine } = hv.memory;
  const access: PageMemory = {
    bytes: machine.bytes,
    wrote: (mfn, offset, length) => frames.codeWritten(mfn * PAGE_SIZE + offset, length),
  };
  return {
    allocate() {
      const mfn = domain.dying ? -1 : frames.allocate(domain.domid);
      return mfn < 0 ? undefined : new NativePage(access, machine.view, mfn, domain.add(mfn), domain);
    },
    free(page) {
      if (domain.dying) return;
      if (!(page instanceof NativePage) || domain.remove(page.gfn) !== page.mfn) {
        throw new InvariantError(`Page ${page.gfn} is not one of domain ${domain.domid}'s.`);
      }
      page.giveBack();
      frames.dropAllocation(page.mfn);
    },
  };
}
