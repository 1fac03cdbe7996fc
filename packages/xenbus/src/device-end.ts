import type { Guest, XenstoreOperations } from '@xenolith/guest-api';
import type { Logger } from '@xenolith/host-interface';
import { Directory, isMissing } from './directory.js';
import { errorText } from './errors.js';
import { parseState, stateName, XenbusState } from './state.js';

/** Which device of which guest. */
export interface DeviceIdentity {
  /** Class of the device in paths: `vbd`, `vif`. */
  readonly type: string;
  /** Its number in paths, unique among the frontend's devices of the type. */
  readonly id: string;
  /** Directory of this end, absolute. */
  readonly path: string;
  /** Directory of the other end, absolute. */
  readonly otherPath: string;
  /** Domain of the other end. */
  readonly otherId: number;
}

/**
 * One end of a split device: its directory, its state, and what is known of the other end. Steps of the handshake run
 * one after the other, each with a fresh look at the other end's state: changes that come fast are seen as one.
 */
export class DeviceEnd {
  /** This end's directory. */
  readonly own: Directory;
  /** The other end's directory, whose contents are never to be trusted. */
  readonly other: Directory;
  private current: XenbusState = XenbusState.initialising;
  private isDirty = false;
  private running: Promise<void> | undefined;
  private stopping = false;
  private ended = false;

  constructor(
    readonly guest: Guest,
    readonly identity: DeviceIdentity,
    private readonly log: Logger,
  ) {
    this.own = new Directory(guest.xenstore, identity.path);
    this.other = new Directory(guest.xenstore, identity.otherPath);
  }

  get otherId(): number {
    return this.identity.otherId;
  }

  /** This end's state. */
  get state(): XenbusState {
    return this.current;
  }

  /** For log lines: `vbd 51712 of domain 3`. */
  get name(): string {
    return `${this.identity.type} ${this.identity.id} (${this.identity.path})`;
  }

  async otherState(): Promise<XenbusState> {
    return parseState(await this.other.find('state'));
  }

  /** Whether a toolstack has made the device anew in the same place; then this end is back at its beginning. */
  async isMadeAnew(): Promise<boolean> {
    if (this.current === XenbusState.initialising) return false;
    if (parseState(await this.own.find('state')) !== XenbusState.initialising) return false;
    this.current = XenbusState.initialising;
    return true;
  }

  /** Tells the other end. A directory that the toolstack has removed meanwhile is not made again. */
  async switchState(state: XenbusState): Promise<void> {
    if (this.current === state) return;
    this.current = state;
    // What is in the directory by now may be another device's.
    if (this.ended) return;
    this.log.log('debug', 'xenbus', `${this.name} is ${stateName(state)}.`);
    await this.writeIfPresent({ state });
  }

  /** Writes nodes of this end's directory in one transaction, unless the toolstack has removed it. */
  async writeIfPresent(values: Readonly<Record<string, string | number>>): Promise<void> {
    await this.guest.xenstore.transaction(async (transaction) => {
      const own = this.own.within(transaction);
      if ((await own.find('state')) !== undefined) await own.write(values);
    });
  }

  /** Runs `body` in a transaction over both ends' directories. */
  transaction<T>(body: (own: Directory, other: Directory) => Promise<T>): Promise<T> {
    return this.guest.xenstore.transaction((transaction: XenstoreOperations) =>
      body(this.own.within(transaction), this.other.within(transaction)),
    );
  }

  /** Says what is wrong, in the log and in xenstore (`error/…/error` of this domain), and closes the device. Never rejects. */
  async fatal(error: unknown): Promise<void> {
    this.warn(error);
    try {
      await this.writeError(error);
      await this.switchState(XenbusState.closing);
    } catch (failure) {
      // The guest has ended, or its xenstore is gone: there is nobody to tell.
      this.warn(failure);
    }
  }

  private async writeError(error: unknown): Promise<void> {
    try {
      // Linux writes to the same place, relative to the home of the domain.
      await this.guest.xenstore.write(`error/${relative(this.identity.path)}/error`, errorText(error));
    } catch (failure) {
      if (!isMissing(failure)) throw failure;
    }
  }

  private warn(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.log.log('warn', 'xenbus', `${this.name}: ${text}.`);
  }

  /** Has `step` run soon, once for any number of calls before it begins. It must not reject. */
  poke(step: () => Promise<void>): void {
    if (this.stopping) return;
    this.isDirty = true;
    this.running ??= this.loop(step);
  }

  /** Ends the handshake; resolves when the step that was running is done. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
    this.ended = true;
  }

  private async loop(step: () => Promise<void>): Promise<void> {
    while (this.isDirty && !this.stopping) {
      this.isDirty = false;
      await step();
    }
    this.running = undefined;
  }
}

/** `/local/domain/0/backend/vbd/1/2` → `backend/vbd/1/2` */
const relative = (path: string): string => path.replace(/^\/local\/domain\/\d+\//, '');
