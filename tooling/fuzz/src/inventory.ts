import type { Host } from '@xenolith/host';

/** What must be the same before domains are made and after they have gone. */
export function inventory({ hypervisor, domains, xenstore }: Host): Record<string, number> {
  const count = (path: string): number =>
    xenstore.local
      .list(path)
      .reduce((sum, name) => sum + count(path === '/' ? `/${name}` : `${path}/${name}`), 1);
  return {
    domains: domains.length,
    'free frames': hypervisor.memory.frames.freeFrames,
    'ports of domain 0': hypervisor.events.list(0).length,
    'xenstore nodes': count('/'),
  };
}

export function compare(before: Record<string, number>, after: Record<string, number>): void {
  for (const [what, count] of Object.entries(before)) {
    if (after[what] !== count)
      throw new Error(`${what}: ${count} before guests ran, ${after[what]} after them`);
  }
}

/** A number that changes with any byte of these frames. */
export function digest(host: Host, frames: Iterable<number>): number {
  const { u32 } = host.hypervisor.memory.machine;
  let hash = 0x811c_9dc5;
  for (const mfn of frames) {
    for (let i = mfn * 1024; i < (mfn + 1) * 1024; i++) hash = Math.imul(hash ^ u32[i]!, 0x0100_0193);
  }
  return hash;
}
