import { openSync, readSync, writeSync } from 'node:fs';

/**
 * A file as the memory of a ring: whoever has mapped it sees what is written here.
 * @param {string} path
 * @returns {import('@xenolith/shared-ring').RingMemory}
 */
export function fileMemory(path) {
  const fd = openSync(path, 'r+');
  const word = Buffer.alloc(4);
  return {
    readU32(offset) {
      readSync(fd, word, 0, 4, offset);
      return word.readUInt32LE();
    },
    writeU32(offset, value) {
      word.writeUInt32LE(value);
      writeSync(fd, word, 0, 4, offset);
    },
    read(offset, length) {
      const bytes = new Uint8Array(length);
      readSync(fd, bytes, 0, length, offset);
      return bytes;
    },
    write: (offset, data) => void writeSync(fd, data, 0, data.length, offset),
  };
}
