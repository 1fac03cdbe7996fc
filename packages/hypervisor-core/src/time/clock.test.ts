import { describe, expect, it } from 'vitest';
import { HostClock } from './clock.js';

const inputs = () => ({
  wall: 1000,
  monotonicNs() {
    return this.wall;
  },
  wallclockNs: () => 0n,
  randomFill() {},
});

describe('HostClock', () => {
  it('virtual: counts instructions and jumps when idle', () => {
    const clock = new HostClock('virtual', inputs());
    clock.advance(70);
    clock.beginSlice();
    expect(clock.now).toBe(70);
    expect(clock.idle(500)).toBe(0);
    expect(clock.now).toBe(500);
    expect(clock.idle(undefined)).toBeUndefined();
  });

  it('real: follows the monotonic clock and never goes back', () => {
    const host = inputs();
    const clock = new HostClock('real', host);
    host.wall += 50;
    clock.beginSlice();
    expect(clock.now).toBe(50);
    clock.advance(100);
    host.wall += 20;
    clock.beginSlice();
    expect(clock.now).toBe(150);
    expect(clock.idle(400)).toBe(250);
  });

  it('paced: runs as virtual, and idles as long as the wall clock does', () => {
    const host = inputs();
    const clock = new HostClock('paced', host);
    clock.advance(1000);
    host.wall += 5000;
    clock.beginSlice();
    expect(clock.now).toBe(1000);
    expect(clock.idle(3000)).toBe(2000);
    host.wall += 2100;
    clock.beginSlice();
    expect(clock.now).toBe(3100);
  });
});
