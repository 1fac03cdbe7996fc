import type { Host } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import type { Capture } from '@xenolith/netback';
import { captureFile } from '@xenolith/netback/node';

const ofHosts = new WeakMap<Host, Map<string, Capture>>();

/** The capture in a file: one for all interfaces of a host that name it, for as long as the host lives. @throws BadInputError */
export function captureIn(path: string, host: Host): Capture {
  const captures = ofHosts.get(host) ?? new Map<string, Capture>();
  ofHosts.set(host, captures);
  const known = captures.get(path);
  if (known) return known;
  try {
    const { clock } = host.dom0;
    const { wallclockNs: startNs, log } = host.hypervisor;
    const { capture } = captureFile(path, { clock, startNs, log });
    captures.set(path, capture);
    return capture;
  } catch (error) {
    throw new BadInputError(`The capture ${path} cannot be written: ${(error as Error).message}.`);
  }
}
