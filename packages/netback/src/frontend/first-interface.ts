import type { Guest } from '@xenolith/guest-api';
import { type ServeOptions, serveFrontends } from '@xenolith/xenbus';
import { type FrontInterface, netFrontend } from './net-frontend.js';

/** Serves the guest's interfaces, for one that has a single one: resolves with the first that may be used. */
export function firstInterface(guest: Guest, options: ServeOptions = {}): Promise<FrontInterface> {
  return new Promise((resolve) => {
    serveFrontends(
      guest,
      netFrontend(guest, (_id, network) => network && resolve(network)),
      options,
    );
  });
}
