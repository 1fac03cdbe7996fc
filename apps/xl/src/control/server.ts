import { unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { parseDiskSpec, parseVifSpec } from '@xenolith/host';
import { BadInputError } from '@xenolith/host-interface';
import { closeDisks, diskWarnings, openDisk, openMedium } from '../disks.js';
import type { GuestFiles } from '../up/guest-file.js';
import type { Guests } from '../up/guests.js';
import { closeVifs, openVif } from '../vifs.js';
import { diskInfos } from './disk-info.js';
import { readLines, writeLine } from './lines.js';
import { type ControlRequest, MAX_LINE, parseRequest } from './protocol.js';
import { checkPath, listenOn, socketOf } from './sockets.js';
import { vifInfos } from './vif-info.js';

const MAX_CONNECTIONS = 64;
/** Hosts without a name are called host1, host2 and so on. */
const MAX_HOSTS = 100;

export interface ControlPlace {
  /** A path of one's own. */
  readonly socket?: string;
  /** Or a name for the host, by which other commands find it; without either it gets one. */
  readonly hostName?: string;
}

/** Answers what other shells ask of this host, on a Unix socket that goes with the process. */
export class ControlServer {
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  private path = '';
  /** For people. */
  name = '';

  private constructor(
    private readonly guests: Guests,
    private readonly files: GuestFiles,
  ) {
    this.#server = createServer((socket) => this.connected(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** @throws BadInputError if the socket cannot be had */
  static async open(guests: Guests, files: GuestFiles, place: ControlPlace): Promise<ControlServer> {
    const server = new ControlServer(guests, files);
    await server.listen(place);
    process.on('exit', server.removeSocket);
    return server;
  }

  close(): void {
    for (const socket of this.#connections) socket.end();
    this.#server.close();
    process.off('exit', this.removeSocket);
    this.removeSocket();
  }

  private async listen({ socket, hostName }: ControlPlace): Promise<void> {
    if (socket !== undefined) {
      if (await this.take(checkPath(socket), socket)) return;
      throw new BadInputError(`A host listens on ${socket} already.`);
    }
    if (hostName !== undefined) {
      if (await this.take(socketOf(hostName), hostName)) return;
      throw new BadInputError(`A host "${hostName}" is running already: give another name with --host.`);
    }
    for (let n = 1; n <= MAX_HOSTS; n++) if (await this.take(socketOf(`host${n}`), `host${n}`)) return;
    throw new BadInputError(`There are ${MAX_HOSTS} hosts already: give a name with --host.`);
  }

  private async take(path: string, name: string): Promise<boolean> {
    if (!(await listenOn(this.#server, path))) return false;
    this.path = path;
    this.name = name;
    return true;
  }

  private readonly removeSocket = (): void => {
    try {
      unlinkSync(this.path);
    } catch {
      // Somebody was faster.
    }
  };

  private connected(socket: Socket): void {
    this.#connections.add(socket);
    const session = new Session(socket, this.guests, this.files);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#connections.delete(socket);
      session.close();
    });
    readLines(socket, (line) => session.line(line));
  }
}

/** One connection. */
class Session {
  private domain: { sendConsole(bytes: Uint8Array): number } | undefined;
  private unfollow = (): void => {};
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly socket: Socket,
    private readonly guests: Guests,
    private readonly files: GuestFiles,
  ) {}

  close(): void {
    this.unfollow();
  }

  /** Requests are answered in their order. */
  line(line: string): void {
    this.last = this.last.then(() => this.serve(line));
  }

  private async serve(line: string): Promise<void> {
    try {
      const answer = await this.answer(parseRequest(line));
      if (answer !== undefined) writeLine(this.socket, { ok: answer });
    } catch (error) {
      // A fault of ours must not end the host, but whoever asked hears of it.
      const message = error instanceof BadInputError ? error.message : `a fault of xenolith: ${error}`;
      writeLine(this.socket, { error: message });
    }
  }

  private async answer(request: ControlRequest): Promise<unknown> {
    const { guests } = this;
    switch (request.do) {
      case 'list':
        return guests.host.list();
      case 'pause':
      case 'unpause':
      case 'destroy':
        guests.domain(request.domain)[request.do]();
        return {};
      case 'shutdown':
      case 'reboot':
        guests.domain(request.domain).requestShutdown(request.do === 'reboot' ? 'reboot' : 'poweroff');
        return {};
      case 'mem-set':
        guests.domain(request.domain).setMemory(request.mib);
        return {};
      case 'vcpu-set':
        guests.domain(request.domain).setVcpus(request.count);
        return {};
      case 'create': {
        const file = this.files.parse(request.text, request.file, request.directory);
        const { domain } = await guests.create(file, { paused: request.paused });
        return { domid: domain.domid, name: domain.name, warnings: file.warnings };
      }
      case 'block-list':
        return diskInfos(guests.domain(request.domain), guests.host);
      case 'block-attach': {
        const spec = parseDiskSpec(request.disk);
        const disk = await openDisk(spec, request.directory);
        try {
          guests.domain(request.domain).disks.attach(disk);
        } catch (error) {
          await closeDisks([disk]);
          throw error;
        }
        return { warnings: diskWarnings(spec) };
      }
      case 'block-detach':
        await guests.domain(request.domain).disks.detach(request.vdev, { force: request.force });
        return {};
      case 'block-resize':
        return { bytes: await guests.domain(request.domain).disks.resized(request.vdev) };
      case 'cd-insert': {
        const { target, vdev, directory } = request;
        const { disks } = guests.domain(request.domain);
        const medium = target === '' ? undefined : await openMedium(target, vdev, directory);
        disks.changeMedium(vdev, medium, target);
        return {};
      }
      case 'network-list':
        return vifInfos(guests.domain(request.domain), guests.host);
      case 'network-attach': {
        const { vifs } = guests.domain(request.domain);
        const vif = await openVif(parseVifSpec(request.vif), guests.host, request.directory);
        try {
          vifs.attach(vif);
        } catch (error) {
          closeVifs([vif]);
          throw error;
        }
        return {};
      }
      case 'network-detach':
        await guests.domain(request.domain).vifs.detach(request.vif, { force: request.force });
        return {};
      case 'console':
        return this.openConsole(request.domain);
      case 'input':
        // What the guest has no room for is lost, as with what a person types on the host's own terminal.
        this.domain?.sendConsole(Buffer.from(request.data, 'base64'));
        return undefined;
    }
  }

  private openConsole(which: string): unknown {
    const { domain, console } = this.guests.console(which);
    this.unfollow();
    this.domain = domain;
    const send = (bytes: Uint8Array): void => {
      // Who does not read must not fill the host's memory.
      if (this.socket.writableLength > MAX_LINE) this.socket.destroy();
      else writeLine(this.socket, { output: Buffer.from(bytes).toString('base64') });
    };
    const { recent } = console;
    queueMicrotask(() => {
      if (recent.bytes.length > 0) send(recent.bytes);
      this.unfollow = console.follow({
        write: send,
        ended: () => writeLine(this.socket, { ended: domain.result?.reason ?? 'unknown' }),
      });
    });
    return { domid: domain.domid, name: domain.name };
  }
}
