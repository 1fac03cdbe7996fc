import type { Host, VifConfig, VifSpec } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';

/** Opens what is behind a network interface. @param directory where relative paths begin @throws BadInputError */
export async function openVif(
  { backend, ...config }: VifSpec,
  host: Host,
  _directory: string,
): Promise<VifConfig> {
  if (backend === undefined || ['0', 'Domain-0'].includes(backend)) return config;
  const domain = host.find(backend);
  if (!domain)
    throw new BadInputError(`The network interface cannot be had: there is no domain "${backend}".`);
  return { ...config, backendId: domain.domid };
}

/** For interfaces that no guest has got. */
export function closeVifs(vifs: readonly VifConfig[]): void {
  for (const { port } of vifs) port?.close?.();
}
