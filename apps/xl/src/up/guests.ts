import type { DomainConfig, DomainResult, GuestDomain, Host, ShutdownAction } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import { closeDevices, type Devices, openDevices } from '../devices.js';
import { GuestConsole } from './guest-console.js';
import type { GuestFile } from './guest-file.js';

/** A guest on the command line's host. */
export interface Guest {
  readonly domain: GuestDomain;
  readonly console: GuestConsole;
  /** The digit by which a person finds it: the lowest that was free, from 1. */
  readonly slot: number;
}

export interface GuestsOptions {
  readonly host: Host;
  /** A new guest is there; it is paused still. */
  onCreated(guest: Guest): void;
  /** It has shut down; `action` follows. */
  onShutdown(guest: Guest, how: DomainResult, action: ShutdownAction): void;
  /** It has ended for good. */
  onEnded(guest: Guest, result: DomainResult): void;
}

/** The guests of a running host. */
export class Guests {
  /** Those that live, in the order in which they came. */
  readonly all: Guest[] = [];

  constructor(private readonly options: GuestsOptions) {}

  get host(): Host {
    return this.options.host;
  }

  /** Makes a guest and, unless `paused`, lets it run. @throws BadInputError; then nothing was made */
  async create({ file, config, devices }: GuestFile, { paused = false } = {}): Promise<Guest> {
    let opened: Devices | undefined;
    try {
      opened = await openDevices(devices, this.host);
      return this.start({ ...config, ...opened }, paused);
    } catch (error) {
      if (opened) await closeDevices(opened);
      throw error instanceof BadInputError ? new BadInputError(`${file}: ${error.message}`) : error;
    }
  }

  private start(config: DomainConfig, paused: boolean): Guest {
    const console = new GuestConsole();
    const domain = this.host.createDomain({
      ...config,
      onConsole: (bytes) => console.write(bytes),
      onConsoleRoom: () => console.room(),
      onShutdown: (how, action) => this.options.onShutdown(guest, how, action),
    });
    const guest: Guest = { domain, console, slot: this.freeSlot() };
    this.all.push(guest);
    void domain.ended.then((result) => {
      this.all.splice(this.all.indexOf(guest), 1);
      this.options.onEnded(guest, result);
      console.ended();
    });
    this.options.onCreated(guest);
    if (!paused) domain.unpause();
    return guest;
  }

  /** The guest with this name or number. @throws BadInputError */
  console(which: string): Guest {
    const guest = this.all.find(({ domain }) => domain === this.domain(which));
    if (!guest) throw new BadInputError(`The domain "${which}" is only kept; it has no console any more.`);
    return guest;
  }

  /** The domain with this name or number; also one that has shut down and is kept. @throws BadInputError */
  domain(which: string): GuestDomain {
    const found = this.host.find(which);
    if (found) return found;
    const names = this.host.domains.map(({ domid, name }) => `${name} (${domid})`);
    throw new BadInputError(`There is no domain "${which}": there is ${names.join(', ') || 'none at all'}.`);
  }

  private freeSlot(): number {
    let slot = 1;
    while (this.all.some((guest) => guest.slot === slot)) slot++;
    return slot;
  }
}
