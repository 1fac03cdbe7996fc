import { BadInputError, type HostInputs } from '@xenolith/host-interface';

/** A random UUID (version 4) as its 16 bytes. */
export function randomUuid(inputs: HostInputs): Uint8Array {
  const bytes = new Uint8Array(16);
  inputs.randomFill(bytes);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** @throws BadInputError unless it reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` */
export function parseUuid(text: string): Uint8Array {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new BadInputError(
      `"${text}" is no UUID: it should look like 01234567-89ab-cdef-0123-456789abcdef.`,
    );
  }
  return Uint8Array.from(text.replaceAll('-', '').match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

export function formatUuid(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
