import type { Guest } from '@xenolith/guest-api';
import { type ServeOptions, serveFrontends } from '@xenolith/xenbus';
import { blockFrontend, type FrontDisk } from './block-frontend.js';

/** Serves the guest's disks, for one that has a single one: resolves with the first that may be used. */
export function firstDisk(guest: Guest, options: ServeOptions = {}): Promise<FrontDisk> {
  return new Promise((resolve) => {
    serveFrontends(
      guest,
      blockFrontend(guest, (_id, disk) => disk && resolve(disk)),
      options,
    );
  });
}
