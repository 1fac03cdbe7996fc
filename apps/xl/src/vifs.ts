import type { Host, VifConfig, VifSpec } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';

/** What a guest is given for an interface of its configuration. @throws BadInputError */
export function vifConfig({ backend, ...config }: VifSpec, host: Host | undefined): VifConfig {
  if (backend === undefined || ['0', 'Domain-0'].includes(backend)) return config;
  const domain = host?.find(backend);
  if (!domain)
    throw new BadInputError(`The network interface cannot be had: there is no domain "${backend}".`);
  return { ...config, backendId: domain.domid };
}
