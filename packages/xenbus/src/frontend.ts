import type { DeviceEnd } from './device-end.js';
import { XenbusState } from './state.js';

/** What a frontend does for one device. Anything that is thrown closes the device and is written to its error node. */
export interface FrontendDevice {
  /**
   * The backend waits and its features can be read: make rings and ports, and write them into `end.own`.
   * @returns the state to announce: `initialised` (as block frontends do, then the backend connects first), or
   * `connected` (as network frontends do)
   */
  setUp(): Promise<typeof XenbusState.initialised | typeof XenbusState.connected>;
  /** The backend is connected: the device may be used. */
  connected(): Promise<void>;
  /** Stop using the device, and take rings, ports and grants back. Follows each `setUp` once. */
  disconnect(): Promise<void>;
}

/** A kind of frontend: `serveFrontends` finds its devices and leads each through the handshake. */
export interface FrontendDriver {
  /** Class of device: `vbd`, `vif`. */
  readonly type: string;
  probe(end: DeviceEnd): Promise<FrontendDevice>;
}

/** The frontend's side of the handshake for one device: the mirror of `BackendHandshake`. */
export class FrontendHandshake {
  private device: FrontendDevice | undefined;
  private phase: 'idle' | 'offered' | 'connected' = 'idle';

  constructor(
    readonly end: DeviceEnd,
    private readonly driver: FrontendDriver,
  ) {}

  /** The device appeared, or the other end changed. */
  poke(): void {
    this.end.poke(() => this.guarded(() => this.step()));
  }

  /** A node of the frontend's own directory changed: a toolstack that makes the device anew writes its state. */
  ownChanged(name: string): void {
    if (name === 'state') this.poke();
  }

  /** The device is gone, or the guest does not want it any more. */
  async remove(): Promise<void> {
    await this.end.stop();
    await this.guarded(() => this.disconnect());
  }

  private async step(): Promise<void> {
    const { end } = this;
    this.device ??= await this.driver.probe(end);
    if (await end.isMadeAnew()) await this.disconnect();
    switch (await end.otherState()) {
      case XenbusState.initWait:
        return this.offer(this.device);
      case XenbusState.connected:
        if (this.phase !== 'offered') return;
        this.phase = 'connected';
        await this.device.connected();
        return end.switchState(XenbusState.connected);
      case XenbusState.closing:
        if (end.state === XenbusState.closed) return;
        await end.switchState(XenbusState.closing);
        await this.disconnect();
        return end.switchState(XenbusState.closed);
      case XenbusState.closed:
        if (end.state === XenbusState.closed || end.state === XenbusState.initialising) return;
        await this.disconnect();
        return end.switchState(XenbusState.closed);
      case XenbusState.unknown:
        // The backend's directory is gone: a driver domain that died, or a device that was removed by force.
        return this.disconnect();
    }
  }

  private async offer(device: FrontendDevice): Promise<void> {
    const { end } = this;
    // It has not come to look yet. A backend that was restarted takes up what its predecessor was offered.
    if (this.phase !== 'idle') return;
    this.phase = 'offered';
    await end.switchState(XenbusState.initialising);
    await end.switchState(await device.setUp());
  }

  private async disconnect(): Promise<void> {
    if (this.phase === 'idle') return;
    this.phase = 'idle';
    await this.device?.disconnect();
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.disconnect().catch(() => {});
      await this.end.fatal(error);
    }
  }
}
