import type { Host } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import { type SocketServer, serveSocket } from '@xenolith/xenstore/node';

/**
 * Serves a host's store on a Unix socket, as xenstored does, so that Xen's own tools work with it (`XENSTORED_PATH`).
 * Whoever connects acts as domain 0. @throws BadInputError if the path cannot be used
 */
export async function serveHostXenstore(host: Host, path: string): Promise<SocketServer> {
  try {
    // What a client writes may be an event for a guest, and the host may be asleep.
    return await serveSocket(host.xenstore.server, path, { onServed: () => host.wake() });
  } catch (error) {
    throw new BadInputError(`The xenstore socket: ${error instanceof Error ? error.message : error}`);
  }
}
