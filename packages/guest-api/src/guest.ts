import type { Clock } from './clock.js';
import type { EventChannels } from './event-channels.js';
import type { Grants } from './grants.js';
import type { Memory } from './memory.js';
import type { Xenstore } from './xenstore.js';

/** What a host offers a guest that is written in TypeScript. Frontends and backends take the parts they use. */
export interface Guest {
  readonly domid: number;
  readonly eventChannels: EventChannels;
  readonly grants: Grants;
  readonly memory: Memory;
  readonly clock: Clock;
  readonly xenstore: Xenstore;
}
