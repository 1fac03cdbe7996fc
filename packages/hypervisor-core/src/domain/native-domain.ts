/** Settings of a domain whose kernel is TypeScript: domain 0, driver domains, test peers. */
export interface NativeDomainSettings {
  /** Default: the next one. */
  domid?: number;
  name?: string;
  /** May act on other domains as domain 0 may. */
  privileged?: boolean;
  /** An event arrived at one of its ports; called before the next guest instruction. */
  onEvent(port: number): void;
  /** Asked when an event arrives: false when an earlier one of the port still waits. Default: every event counts. */
  wantsEvent?(port: number): boolean;
}

/** A native domain: it has no page tables and no vCPUs of ours; its memory is frames that it asks for. */
export class NativeDomain {
  private readonly frames = new Map<number, number>();
  private nextGfn = 1;
  /** It is being taken apart, and only what others hold of it is left. */
  dying = false;

  constructor(
    readonly domid: number,
    readonly settings: NativeDomainSettings,
  ) {}

  /** Frames that it has. */
  get totPages(): number {
    return this.frames.size;
  }

  /** Frame of a gfn, or undefined. */
  translate(gfn: number): number | undefined {
    return this.frames.get(gfn);
  }

  /** Gives the frame the next gfn. */
  add(mfn: number): number {
    const gfn = this.nextGfn++;
    this.frames.set(gfn, mfn);
    return gfn;
  }

  remove(gfn: number): number | undefined {
    const mfn = this.frames.get(gfn);
    this.frames.delete(gfn);
    return mfn;
  }
}
