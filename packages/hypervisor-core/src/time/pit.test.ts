import { describe, expect, it } from 'vitest';
import { Pit } from './pit.js';

describe('Pit', () => {
  it('counts down in mode 0 and raises its output, as a TSC calibration reads it', () => {
    let now = 0;
    const pit = new Pit(() => now);
    pit.write(0x61, 1);
    pit.write(0x43, 0xb0);
    pit.write(0x42, 0xff);
    pit.write(0x42, 0xff);
    now = 1_000_000;
    const count = pit.read(0x42) | (pit.read(0x42) << 8);
    expect(count).toBe(0xffff - 1193);
    expect(pit.read(0x61) & 0x20).toBe(0);
    now = 55_000_000;
    expect(pit.read(0x61) & 0x21).toBe(0x21);
  });

  it('latches a count until both bytes are read', () => {
    let now = 0;
    const pit = new Pit(() => now);
    pit.write(0x43, 0xb4);
    pit.write(0x42, 0x00);
    pit.write(0x42, 0x10);
    now = 100_000;
    pit.write(0x43, 0x80);
    now = 900_000;
    expect(pit.read(0x42) | (pit.read(0x42) << 8)).toBe(0x1000 - 119);
  });

  it('answers a read-back of the status', () => {
    const pit = new Pit(() => 0);
    pit.write(0x43, 0xb6);
    pit.write(0x43, 0xe8);
    expect(pit.read(0x42) & 0x3f).toBe(0x36);
  });
});
