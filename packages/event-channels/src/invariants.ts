import { InvariantError } from '@xenolith/host-interface';
import { PORT_STATE } from './channel.js';
import type { DomainEvents } from './domain-events.js';
import { isGlobalVirq } from './virq.js';

/** See `EventChannels.checkInvariants`. */
export function checkInvariants(domains: ReadonlyMap<number, DomainEvents>): void {
  for (const domain of domains.values()) {
    checkPorts(domain, domains);
    checkVirqs(domain);
    for (const problem of domain.problems()) failIn(domain)(problem);
  }
}

function checkPorts(domain: DomainEvents, domains: ReadonlyMap<number, DomainEvents>): void {
  const fail = failIn(domain);
  let active = 0;
  for (const channel of domain.table.ports) {
    const { port, state } = channel;
    if ((state === PORT_STATE.reserved) !== (port === 0)) fail(`port ${port} is in state ${state}`);
    if (state === PORT_STATE.free && channel.vcpu !== 0) fail(`free port ${port} has vCPU ${channel.vcpu}`);
    if (!domain.hasVcpu(channel.vcpu)) fail(`port ${port} notifies vCPU ${channel.vcpu}`);
    if (!channel.usable) continue;
    active++;
    if (port > domain.table.maxPort) fail(`port ${port} is beyond the limit`);
    if (state === PORT_STATE.interdomain) {
      const peer = domains.get(channel.remoteDomid)?.table.get(channel.remotePort);
      const mutual = peer?.state === state && peer.remoteDomid === domain.domid && peer.remotePort === port;
      if (!mutual) fail(`port ${port}'s peer d${channel.remoteDomid}:${channel.remotePort} does not agree`);
    }
    if (state === PORT_STATE.virq) {
      const vcpu = isGlobalVirq(channel.virq) ? 0 : channel.vcpu;
      if (domain.virqPorts[vcpu]![channel.virq] !== port)
        fail(`VIRQ ${channel.virq} does not know port ${port}`);
    }
  }
  if (active !== domain.table.active) fail(`${active} active ports, ${domain.table.active} counted`);
}

function checkVirqs(domain: DomainEvents): void {
  const fail = failIn(domain);
  domain.virqPorts.forEach((ports, vcpu) => {
    ports.forEach((port, virq) => {
      if (port === 0) return;
      const channel = domain.table.get(port);
      if (channel?.state !== PORT_STATE.virq || channel.virq !== virq)
        fail(`VIRQ ${virq} of vCPU ${vcpu}: port ${port}`);
    });
  });
}

const failIn = (domain: DomainEvents) => (what: string) => {
  throw new InvariantError(`Event channels of domain ${domain.domid}: ${what}.`);
};
