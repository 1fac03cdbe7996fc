import { describe, expect, it } from 'vitest';
import { Completions } from './completions.js';
import { TimerQueue } from './timers.js';

function setUp(stopsTime: boolean) {
  const clock = { now: 0 };
  const timers = new TimerQueue();
  const deferred: (() => void)[] = [];
  const log: string[] = [];
  let looping = false;
  const completions = new Completions({
    now: () => clock.now,
    timers,
    stopsTime,
    defer(work) {
      deferred.push(work);
      if (!looping) log.push('interrupt');
    },
  });
  /** As the hypervisor's loop does. */
  const pass = (now: number) => {
    clock.now = now;
    looping = true;
    timers.expire(now);
    for (const work of deferred.splice(0)) work();
    looping = false;
  };
  const submit = (name: string, latencyNs: number) => {
    const work = withResolvers<string>();
    completions.submit(work.promise, latencyNs, (outcome) =>
      log.push(outcome.status === 'fulfilled' ? `${name}=${outcome.value}` : `${name}!${outcome.reason}`),
    );
    return work;
  };
  return { completions, log, pass, submit };
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('completions', () => {
  it('an early answer waits for its time', async () => {
    const { log, pass, submit, completions } = setUp(true);
    submit('read', 100).resolve('data');
    await settle();
    pass(99);
    expect(log).toEqual([]);
    pass(100);
    expect(log).toEqual(['read=data']);
    expect(completions.overdue).toBe(false);
  });

  it('a late answer is waited for, and ends the wait', async () => {
    const { log, pass, submit, completions } = setUp(true);
    const work = submit('read', 100);
    pass(100);
    expect([completions.overdue, log]).toEqual([true, []]);
    work.reject('gone');
    await settle();
    expect(log).toEqual(['interrupt']);
    pass(100);
    expect([completions.overdue, log]).toEqual([false, ['interrupt', 'read!gone']]);
  });

  it('answers that are due together come in the order in which they were asked for', async () => {
    const { log, pass, submit } = setUp(true);
    const first = submit('first', 50);
    submit('second', 50).resolve('2');
    await settle();
    pass(50);
    expect(log).toEqual([]);
    first.resolve('1');
    await settle();
    pass(50);
    expect(log).toEqual(['interrupt', 'first=1', 'second=2']);
  });

  it('with the real clock an answer comes when it is there', async () => {
    const { log, pass, submit } = setUp(false);
    submit('read', 1e9).resolve('data');
    await settle();
    pass(1);
    expect(log).toEqual(['interrupt', 'read=data']);
  });
});
