import { CreditScheduler } from './credit.js';
import { NullScheduler } from './null.js';
import { RoundRobinScheduler } from './round-robin.js';
import type { Scheduler } from './scheduler.js';

/** `rr`: round robin. `credit`: by weights and caps. `null`: whoever runs is not disturbed. */
export type SchedulerName = 'rr' | 'credit' | 'null';

export function createScheduler(name: SchedulerName): Scheduler {
  switch (name) {
    case 'rr':
      return new RoundRobinScheduler();
    case 'credit':
      return new CreditScheduler();
    case 'null':
      return new NullScheduler();
  }
}
