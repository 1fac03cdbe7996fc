import type { Guest } from '@xenolith/guest-api';
import type { Logger } from '@xenolith/host-interface';
import { type NetworkPort, netBackend, noTraffic, Switch } from '@xenolith/netback';
import { type DeviceEnd, serveBackends } from '@xenolith/xenbus';
import type { Vif } from './vif.js';

/** netback in native domain 0: serves the interfaces that the toolstack has told it of, and has the host's switches. */
export class NetworkService {
  /** Interfaces by their backend's directory. */
  private readonly vifs = new Map<string, Vif>();
  private readonly switches = new Map<string, Switch>();

  constructor(
    private readonly dom0: Guest,
    log: Logger,
  ) {
    serveBackends(
      dom0,
      netBackend(dom0, {
        log,
        open: async (end) => this.open(end),
        offloads: (end) => this.vifs.get(end.identity.path)?.config.offloads ?? true,
        statistics: (end) => this.vifs.get(end.identity.path)?.statistics ?? noTraffic(),
        release: async (port) => this.release(port),
      }),
      { log },
    );
  }

  add(domid: number, vif: Vif): void {
    this.vifs.set(vif.backendPath(domid), vif);
  }

  remove(domid: number, vif: Vif): void {
    this.vifs.delete(vif.backendPath(domid));
  }

  /** The switch of that name; made when it is first asked for. */
  bridge(name: string): Switch {
    let found = this.switches.get(name);
    if (!found) {
      found = new Switch({ clock: this.dom0.clock });
      this.switches.set(name, found);
    }
    return found;
  }

  /** Ports of guests themselves belong to the toolstack, which keeps them over reboots. */
  private readonly own = new Set<NetworkPort>();

  private open({ identity, otherId }: DeviceEnd): NetworkPort | undefined {
    const vif = this.vifs.get(identity.path);
    if (!vif) return undefined;
    const { port: given, isolated = false, capture } = vif.config;
    const cable = given ?? this.bridge(vif.bridge).addPort({ isolated });
    const port = capture?.tap(cable, `vif${otherId}.${identity.id}`) ?? cable;
    if (!given) this.own.add(port);
    return port;
  }

  private release(port: NetworkPort): void {
    if (this.own.delete(port)) port.close?.();
  }
}
