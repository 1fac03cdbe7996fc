import { BadInputError } from '@xenolith/host-interface';
import { hex, ImageReader, startsWith } from '../reader.js';

const HEADER_MAGIC = [0x48, 0x64, 0x72, 0x53] as const; // "HdrS"
const MAGIC_AT = 0x202;

/** What a bzImage's setup header says (Documentation/arch/x86/boot.rst). Offsets in bytes from the start of the file. */
export interface BzImage {
  /** Boot protocol, major << 8 | minor. */
  readonly protocol: number;
  /** The kernel's own version string; empty if there is none. */
  readonly version: string;
  readonly payloadOffset: number;
  readonly payloadLength: number;
}

export const isBzImage = (bytes: Uint8Array): boolean => startsWith(bytes, HEADER_MAGIC, MAGIC_AT);

/** @throws BadInputError for a damaged header, or one older than protocol 2.08, which has no payload fields */
export function parseBzImage(bytes: Uint8Array): BzImage {
  const reader = new ImageReader(bytes, 'kernel bzImage');
  reader.need(0, 0x250, 'the setup header');
  const protocol = reader.u16(0x206, 'the boot protocol');
  if (protocol < 0x208) {
    throw new BadInputError(
      `The kernel bzImage has boot protocol ${protocol >> 8}.${String(protocol & 0xff).padStart(2, '0')} ` +
        '(at offset 0x206): 2.08 or newer is needed.',
    );
  }
  const setup = (reader.u8(0x1f1, 'setup_sects') + 1) * 512;
  const payloadOffset = setup + reader.u32(0x248, 'payload_offset');
  const payloadLength = reader.u32(0x24c, 'payload_length');
  reader.need(payloadOffset, payloadLength, `the payload (${hex(payloadLength)} bytes)`);
  if (payloadLength === 0)
    throw new BadInputError('The kernel bzImage has an empty payload (payload_length at offset 0x24c).');
  const versionAt = reader.u16(0x20e, 'kernel_version');
  return {
    protocol,
    version: versionAt === 0 ? '' : reader.string(versionAt + 0x200, versionAt + 0x200 + 256),
    payloadOffset,
    payloadLength,
  };
}
