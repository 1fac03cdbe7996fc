import { resolve } from 'node:path';
import type { Host, PortSpec, VifConfig, VifSpec } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import { connectWebSocketPort, type NetworkPort, NetworkPortError } from '@xenolith/netback';
import { connectStreamPort, startPasst } from '@xenolith/netback/node';
import { captureIn } from './captures.js';

/** Opens what is behind a network interface. @param directory where relative paths begin @throws BadInputError */
export async function openVif(
  { port, capture, ...rest }: VifSpec,
  host: Host,
  directory: string,
): Promise<VifConfig> {
  const config: VifConfig = rest;
  if (capture !== undefined) config.capture = captureIn(resolve(directory, capture), host);
  if (!port) return config;
  try {
    return { ...config, port: await openPort(port, config, host, directory) };
  } catch (error) {
    if (!(error instanceof NetworkPortError)) throw error;
    throw new BadInputError(`The network interface cannot be had: ${error.message}.`);
  }
}

async function openPort(
  spec: PortSpec,
  { mtu }: Pick<VifSpec, 'mtu'>,
  host: Host,
  directory: string,
): Promise<NetworkPort> {
  if (host.hypervisor.clock.mode === 'virtual')
    throw new NetworkPortError(
      'with --clock virtual idle time is skipped, so that nobody outside answers in time: take real or paced',
    );
  const options = { clock: host.dom0.clock, log: host.hypervisor.log };
  switch (spec.type) {
    case 'passt':
      return startPasst({ ...options, ...spec, ...(mtu !== undefined && { mtu }) });
    case 'stream': {
      if (!('path' in spec)) return connectStreamPort(spec, options);
      return connectStreamPort({ path: resolve(directory, spec.path) }, options);
    }
    case 'websocket': {
      const { WebSocket } = await import('ws');
      return connectWebSocketPort(spec.url, {
        ...options,
        // A message is one frame.
        open: (url) => new WebSocket(url, { maxPayload: 1 << 17, perMessageDeflate: false }),
      });
    }
  }
}

/** For interfaces that no guest has got. */
export function closeVifs(vifs: readonly VifConfig[]): void {
  for (const { port } of vifs) port?.close?.();
}
