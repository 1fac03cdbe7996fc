/** More than the largest frame that a guest can send: a peer that announces more does not speak this protocol. */
const MAX_FRAME = 0x1_0000 + 64;
const HEADER = 4;

/** The peer sent something that is no frame. */
export class StreamFramingError extends Error {
  override name = 'StreamFramingError';
}

/** A frame as QEMU's `-netdev stream` and passt write it: its length in four bytes, big-endian, and its bytes. */
export function encodeStreamFrame(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + data.length);
  new DataView(bytes.buffer).setUint32(0, data.length);
  bytes.set(data, HEADER);
  return bytes;
}

/** Takes such a stream apart, however it was cut into chunks. It keeps at most one frame that is not whole. */
export class StreamFrames {
  private rest = new Uint8Array(0);

  /** @returns the frames that are whole now @throws StreamFramingError */
  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = new Uint8Array(this.rest.length + chunk.length);
    bytes.set(this.rest);
    bytes.set(chunk, this.rest.length);
    const view = new DataView(bytes.buffer);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at + HEADER <= bytes.length) {
      const length = view.getUint32(at);
      if (length > MAX_FRAME) throw new StreamFramingError(`a frame of ${length} bytes was announced`);
      if (at + HEADER + length > bytes.length) break;
      frames.push(bytes.slice(at + HEADER, at + HEADER + length));
      at += HEADER + length;
    }
    this.rest = bytes.slice(at);
    return frames;
  }
}
