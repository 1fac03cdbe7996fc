import type { DeviceEnd } from './device-end.js';
import { XenbusState } from './state.js';

/** What a backend does for one device. Anything that is thrown closes the device and is written to its error node. */
export interface BackendDevice {
  /** The frontend has written its rings and ports: take them up. Called again after each `disconnect`. */
  connect(): Promise<void>;
  /** Let go of rings, ports and mappings: the frontend closes, has died, or starts again. Never called twice in a row. */
  disconnect(): Promise<void>;
  /** A node of this end's directory was changed by somebody else (a new medium, a new rate). `name`: relative path. */
  changed?(name: string): Promise<void>;
  /** The device is gone for good; it is disconnected. */
  remove?(): Promise<void>;
}

/** A kind of backend: `serveBackends` finds its devices and leads each through the handshake. */
export interface BackendDriver {
  /** Class of device: `vbd`, `vif`. */
  readonly type: string;
  /** A device has appeared: read what the toolstack wrote in `end.own`, publish features there. */
  probe(end: DeviceEnd): Promise<BackendDevice>;
}

const HANDSHAKE_NODES = new Set(['', 'state', 'online']);

/**
 * The backend's side of the handshake for one device (io/xenbus.h; the order of states is that of Linux's drivers):
 *
 * ```
 * Initialising ── probe ──▶ InitWait ── frontend Initialised or Connected: connect ──▶ Connected
 *      ▲                       ▲                                                          │
 *      │                       └── frontend Initialising again (kexec, reboot) ──┐        │ frontend Closing
 *      │                                                                         │        ▼
 *   (removed) ◀── toolstack removed the directory, or offline ────────────── Closed ◀── Closing
 * ```
 */
export class BackendHandshake {
  private device: BackendDevice | undefined;
  private connected = false;
  /** Something was thrown; nothing more is done until the frontend begins anew. */
  private failed = false;
  /** The frontend was beyond its beginning when it was last looked at. */
  private hasBegun = false;
  /** Nodes of the own directory that others have changed since the last step. */
  private readonly changes = new Set<string>();

  constructor(
    readonly end: DeviceEnd,
    private readonly driver: BackendDriver,
  ) {}

  /** The device appeared, or something of either end changed. */
  poke(): void {
    this.end.poke(() => this.guarded(() => this.step()));
  }

  /** A node of the backend's own directory changed. */
  ownChanged(name: string): void {
    if (!HANDSHAKE_NODES.has(name)) this.changes.add(name);
    this.poke();
  }

  /** The device is gone: lets go of all, whatever the frontend says. */
  async remove(): Promise<void> {
    await this.end.stop();
    await this.guarded(() => this.forget());
  }

  private async forget(): Promise<void> {
    const { device } = this;
    await this.disconnect();
    this.device = undefined;
    this.failed = false;
    await device?.remove?.();
  }

  private async step(): Promise<void> {
    const { end } = this;
    if (await end.isMadeAnew()) await this.forget();
    for (const name of [...this.changes]) {
      this.changes.delete(name);
      await this.device?.changed?.(name);
    }
    await this.frontendState();
    if (!this.device && !this.failed) {
      this.device = await this.driver.probe(end);
      await end.switchState(XenbusState.initWait);
    }
    const offline = (await end.own.find('online')) === '0';
    switch (await this.frontendState()) {
      case XenbusState.initialising:
        if (offline) return this.close();
        // The frontend starts again: after a reboot or kexec without a word, too.
        if (this.connected) await this.disconnect();
        if (this.device && !this.failed) await end.switchState(XenbusState.initWait);
        return;
      case XenbusState.initialised:
      case XenbusState.connected:
        return this.connect();
      case XenbusState.closing:
        await this.disconnect();
        return end.switchState(XenbusState.closing);
      case XenbusState.closed:
        return this.close();
      case XenbusState.unknown:
        // No frontend's directory: it is not there yet, or gone for good.
        if (this.connected || offline) return this.close();
    }
  }

  /** A frontend that begins anew, in whatever way the last one ended, is a new chance. */
  private async frontendState(): Promise<XenbusState> {
    const state = await this.end.otherState();
    const begins = state === XenbusState.initialising;
    if (begins && this.hasBegun) this.failed = false;
    this.hasBegun = !begins;
    return state;
  }

  private async connect(): Promise<void> {
    const { device, end } = this;
    if (!device || this.connected || this.failed || end.state !== XenbusState.initWait) return;
    this.connected = true;
    await device.connect();
    await end.switchState(XenbusState.connected);
  }

  private async disconnect(): Promise<void> {
    if (!this.connected) return;
    this.connected = false;
    await this.device?.disconnect();
  }

  private async close(): Promise<void> {
    await this.disconnect();
    await this.end.switchState(XenbusState.closed);
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failed = true;
      await this.disconnect().catch(() => {});
      await this.end.fatal(error);
    }
  }
}
