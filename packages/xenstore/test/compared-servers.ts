import { XenstoreRing } from '@xenolith/shared-ring';
import * as abi from '@xenolith/xen-abi';
import {
  encodeMessage,
  MessageParser,
  messageName,
  type ServerConnection,
  XenstoreServer,
} from '@xenolith/xenstore';
import type { RealXenstored } from '@xenolith-tooling/xenstored';
import { fileMemory } from '@xenolith-tooling/xenstored';

const bytesOf = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

export interface Request {
  client: number;
  type: number;
  body: string;
  transaction: number;
}

/** A xenstore server under comparison: domain 0 and some others that it serves, driven one request at a time. */
export interface ComparedServer {
  /** There is such a domain now; domain 0 still has to introduce it. */
  createDomain(domid: number): void;
  shutDownDomain(domid: number): void;
  destroyDomain(domid: number): void;
  /** Sends a request. @returns all messages that it caused, as `CLIENT TYPE REQUEST/TRANSACTION PAYLOAD` */
  ask(request: Request): string[];
  stop(): void;
}

/** Collects messages; the payloads of DIRECTORY_PART begin with a generation, which no client may make sense of. */
class Transcript {
  lines: string[] = [];
  replies = 0;

  parser(domid: number): (bytes: Uint8Array) => void {
    const parser = new MessageParser();
    return (bytes) => {
      for (const { type, requestId, transactionId, body } of parser.feed(bytes)) {
        if (type !== abi.XS_WATCH_EVENT) this.replies++;
        const text = String.fromCharCode(...body);
        const payload = type === abi.XS_DIRECTORY_PART ? text.replace(/^\d+/, 'GENERATION') : text;
        this.lines.push(
          `${domid} ${messageName(type)} ${requestId}/${transactionId} ${JSON.stringify(payload)}`,
        );
      }
    };
  }

  /** In order for each client; who got something first among several clients is chance. */
  take(): string[] {
    return this.lines.splice(0).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  }
}

const message = ({ type, body, transaction }: Request) =>
  encodeMessage({ type, requestId: 7, transactionId: transaction, body: bytesOf(body) });

export function ourServer(): ComparedServer {
  const transcript = new Transcript();
  const domains = new Set([0]);
  const connections = new Map<number, ServerConnection>();
  const connect = (domid: number) => connections.set(domid, server.connect(domid, transcript.parser(domid)));
  const server = new XenstoreServer({ domainExists: (domid) => domains.has(domid), introduce: connect });
  connect(0);
  return {
    createDomain: (domid) => void domains.add(domid),
    shutDownDomain: (domid) => server.domainShutdown(domid),
    destroyDomain(domid) {
      domains.delete(domid);
      server.domainDestroyed(domid);
    },
    ask(request) {
      connections.get(request.client)?.feed(message(request));
      if (server.check().length > 0) throw new Error(server.check().join('\n'));
      return transcript.take();
    },
    stop: () => {},
  };
}

export function realServer(daemon: RealXenstored): ComparedServer {
  const transcript = new Transcript();
  const rings = new Map<number, { ring: XenstoreRing; parse: (bytes: Uint8Array) => void }>();
  const open = (domid: number) =>
    rings.set(domid, {
      ring: new XenstoreRing(fileMemory(daemon.page(domid))),
      parse: transcript.parser(domid),
    });

  /** Sends, and takes all that arrives for this client until its reply. */
  const exchange = (client: number, bytes: Uint8Array) => {
    const { ring, parse } = rings.get(client)!;
    const before = transcript.replies;
    let rest = bytes;
    daemon.waitFor(() => {
      const written = ring.requests.write(rest)!;
      rest = rest.subarray(written);
      const received = ring.responses.read()!;
      if (written > 0 || received.length > 0) daemon.notify(client);
      parse(received);
      return transcript.replies > before;
    }, `answer domain ${client}`);
  };

  /** Events that a request has caused come before the reply to a later one, which is left out. */
  const settle = (except?: number) => {
    const probe = encodeMessage({
      type: abi.XS_GET_DOMAIN_PATH,
      requestId: 0,
      transactionId: 0,
      body: bytesOf('0\0'),
    });
    for (const client of rings.keys()) if (client !== except || except === 0) exchange(client, probe);
    transcript.lines = transcript.lines.filter((line) => !line.includes(' GET_DOMAIN_PATH 0/0 '));
  };

  open(0);
  return {
    createDomain(domid) {
      daemon.createDomain(domid);
      open(domid);
      rings.delete(domid);
    },
    shutDownDomain(domid) {
      daemon.shutDownDomain(domid);
      settle();
    },
    destroyDomain(domid) {
      rings.delete(domid);
      daemon.destroyDomain(domid);
      settle();
    },
    ask(request) {
      if (rings.has(request.client)) {
        exchange(request.client, message(request));
        if (request.type === abi.XS_INTRODUCE && request.client === 0)
          open(Number.parseInt(request.body, 10));
        if (request.type === abi.XS_RELEASE && request.client === 0)
          rings.delete(Number.parseInt(request.body, 10));
        settle();
      }
      return transcript.take();
    },
    stop: () => daemon.stop(),
  };
}
