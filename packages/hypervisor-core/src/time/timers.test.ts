import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerQueue } from './timers.js';

describe('TimerQueue', () => {
  it('fires in order of deadline, and of setting where deadlines are equal', () => {
    const fired: string[] = [];
    const queue = new TimerQueue();
    queue.set(20, () => fired.push('c'));
    queue.set(10, () => fired.push('a'));
    queue.set(10, () => fired.push('b'));
    queue.set(21, () => fired.push('late'));
    expect(queue.next).toBe(10);
    queue.expire(20);
    expect(fired).toEqual(['a', 'b', 'c']);
    expect(queue.next).toBe(21);
  });

  it('forgets cancelled timers', () => {
    const queue = new TimerQueue();
    const timer = queue.set(5, () => expect.unreachable());
    queue.cancel(timer);
    queue.cancel(timer);
    expect(queue.next).toBeUndefined();
    queue.expire(100);
  });

  it('fires a timer that a timer sets in the past', () => {
    const fired: number[] = [];
    const queue = new TimerQueue();
    queue.set(5, () => {
      fired.push(1);
      queue.set(3, () => fired.push(2));
    });
    queue.expire(5);
    expect(fired).toEqual([1, 2]);
  });

  it('agrees with a sorted list under random use', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(50), cancel: fc.boolean() }), { maxLength: 300 }),
        (steps) => {
          const queue = new TimerQueue();
          const fired: number[] = [];
          const want: { at: number; i: number }[] = [];
          steps.forEach(({ at, cancel }, i) => {
            const timer = queue.set(at, () => fired.push(i));
            if (cancel) queue.cancel(timer);
            else want.push({ at, i });
          });
          want.sort((a, b) => a.at - b.at || a.i - b.i);
          queue.expire(50);
          expect(fired).toEqual(want.map(({ i }) => i));
        },
      ),
    );
  });

  it('tell of a timer that comes before all others', () => {
    let sooner = 0;
    const timers = new TimerQueue(() => sooner++);
    const none = () => {};
    timers.set(100, none);
    timers.set(100, none);
    timers.set(200, none);
    expect(sooner).toBe(1);
    timers.set(50, none);
    expect(sooner).toBe(2);
  });
});
