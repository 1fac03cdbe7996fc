import type { Host } from '@xenolith/host';
import { parseState, stateName } from '@xenolith/xenbus';

const HANDSHAKE = /\/(backend|device)\/(vbd|vif)\/.*\/(state|([a-z]+-)?ring-ref|event-channel)$/;

/** Prints what the two ends of each device tell each other in xenstore: states, granted rings, event channels. */
export function showHandshake({ local }: Host['xenstore']): void {
  local.watch('/local/domain', (path) => {
    const value = HANDSHAKE.test(path) ? local.readIfExists(path) : undefined;
    if (value === undefined) return;
    const state = path.endsWith('/state') ? ` (${stateName(parseState(value))})` : '';
    console.log(`${path} = ${value}${state}`);
  });
}
