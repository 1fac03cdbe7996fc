import type { GrantMapping, OwnPage, SharedMemory } from '@xenolith/guest-api';

const PAGE = 4096;

/** Accessors of one page of bytes, with the checks that `SharedMemory` promises. */
abstract class Accessors implements SharedMemory {
  protected abstract bytes(write: boolean): DataView;

  read(offset: number, length: number): Uint8Array {
    const { buffer } = this.bytes(false);
    check(offset, length);
    return new Uint8Array(buffer.slice(offset, offset + length));
  }

  readInto(offset: number, to: Uint8Array): void {
    to.set(this.read(offset, to.length));
  }

  write(offset: number, data: Uint8Array): void {
    const { buffer } = this.bytes(true);
    check(offset, data.length);
    new Uint8Array(buffer).set(data, offset);
  }

  readU8(offset: number): number {
    return this.bytes(false).getUint8(offset);
  }

  readU16(offset: number): number {
    return this.bytes(false).getUint16(offset, true);
  }

  readU32(offset: number): number {
    return this.bytes(false).getUint32(offset, true);
  }

  writeU8(offset: number, value: number): void {
    this.bytes(true).setUint8(offset, value);
  }

  writeU16(offset: number, value: number): void {
    this.bytes(true).setUint16(offset, value, true);
  }

  writeU32(offset: number, value: number): void {
    this.bytes(true).setUint32(offset, value, true);
  }
}

function check(offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= PAGE)) {
    throw new RangeError(`Bytes ${offset} to ${offset + length} are outside of a page.`);
  }
}

/** A page of a fabric's guest. */
export class FabricPage extends Accessors implements OwnPage {
  readonly view = new DataView(new ArrayBuffer(PAGE));
  /** Its owner has died. */
  revoked = false;

  constructor(readonly gfn: number) {
    super();
  }

  protected bytes(): DataView {
    return this.view;
  }
}

/** Another guest's page by grant. */
export class FabricMapping extends Accessors implements GrantMapping {
  private mapped = true;

  constructor(
    private readonly page: FabricPage,
    readonly readonly: boolean,
    private readonly onEnd: () => void,
  ) {
    super();
  }

  get live(): boolean {
    return this.mapped && !this.page.revoked;
  }

  end(): void {
    this.mapped = false;
    this.onEnd();
  }

  protected bytes(write: boolean): DataView {
    if (!this.live) throw new RangeError('The page is not mapped any more.');
    if (write && this.readonly) throw new RangeError('The page is mapped read-only.');
    return this.page.view;
  }
}
