import { BadInputError, type HostInputs } from '@xenolith/host-interface';
import { type DeviceHost, GuestDevices } from './guest-devices.js';
import type { NetworkService } from './network-service.js';
import { Vif, type VifConfig } from './vif.js';

/** What the network interfaces of a guest need of its host. */
export interface VifHost extends DeviceHost {
  readonly networks: NetworkService;
  readonly hypervisor: { readonly options: { readonly inputs: HostInputs } };
}

/** The network interfaces of one guest. */
export class GuestVifs extends GuestDevices<Vif> {
  private readonly networks: NetworkService;
  private readonly inputs: HostInputs;

  /** @throws BadInputError if two have the same number, or an address is none */
  constructor(host: VifHost, configs: readonly VifConfig[]) {
    super(host);
    this.networks = host.networks;
    this.inputs = host.hypervisor.options.inputs;
    for (const config of configs) this.insert(this.make(config));
  }

  /** Plugs an interface in, also while the guest runs. @throws BadInputError */
  attach(config: VifConfig): Vif {
    return this.add(this.make(config));
  }

  /**
   * Unplugs an interface: asks the guest to let go of it, and removes it when it has.
   * @param which its number or its MAC address
   * @param force removes it at once, whatever the guest does with it
   * @throws BadInputError if there is none, or if the guest does not let go within ten seconds; then it stays plugged in
   */
  async detach(which: number | string, { force = false }: { force?: boolean } = {}): Promise<void> {
    await this.remove(this.get(which), force);
  }

  /** @param which number or MAC address @throws BadInputError if there is none */
  get(which: number | string): Vif {
    const text = String(which).toLowerCase();
    const vif = [...this].find(({ id, mac }) => String(id) === text || mac === text);
    if (!vif) throw new BadInputError(`The guest has no network interface ${which}.`);
    return vif;
  }

  protected serve(vif: Vif, domid: number): void {
    if (vif.backendId === 0) this.networks.add(domid, vif);
  }

  protected forsake(vif: Vif, domid: number): void {
    this.networks.remove(domid, vif);
  }

  private make(config: VifConfig): Vif {
    let id = config.devid ?? 0;
    while (config.devid === undefined && this.find(id)) id++;
    return new Vif(id, config, this.inputs);
  }
}
