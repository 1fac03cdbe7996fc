#!/usr/bin/env node
import { parseArgs } from 'node:util';
import {
  defaultQuotas,
  LocalXenstore,
  type MessageListener,
  messageName,
  printableBody,
  type Quotas,
  XenstoreServer,
} from '@xenolith/xenstore';
import { defaultSocketPath, serveSocket } from '@xenolith/xenstore/node';

const USAGE = `usage: xenstore-server [--quota NAME=N]… [--set PATH=VALUE]… [--trace] [SOCKET]

Serves an empty xenstore on a Unix socket, which is where libxenstore looks for it by default
(XENSTORED_PATH, or $XENSTORED_RUNDIR/socket, or /var/run/xenstored/socket).

  --quota NAME=N     a limit of unprivileged domains: ${Object.keys(defaultQuotas).join(', ')}
  --set PATH=VALUE   a node to begin with
  --trace            every message, on standard error`;

/** Splits `NAME=REST`. @throws Error */
function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`${text} is not of the form NAME=VALUE.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function quotas(given: readonly string[]): Partial<Quotas> {
  const limits = given.map(pair).map(([name, text]) => {
    if (!Object.hasOwn(defaultQuotas, name)) throw new Error(`There is no quota ${name}.`);
    if (!/^[1-9]\d*$/.test(text)) throw new Error(`The quota ${name} should be a number above 0.`);
    return [name, Number(text)];
  });
  return Object.fromEntries(limits);
}

const trace: MessageListener = (domid, direction, type, body, { requestId, transactionId }) => {
  const arrow = direction === 'in' ? '>' : '<';
  const ids = `${requestId}/${transactionId}`;
  process.stderr.write(`${domid} ${arrow} ${messageName(type)} ${ids} ${printableBody(body)}\n`);
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quota: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      trace: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  if (positionals.length > 1) throw new Error('There is only one socket.');

  const server = new XenstoreServer({
    quotas: quotas(values.quota),
    // Clients on a socket are domain 0's. There is no hypervisor here, so no other domain exists or can be introduced.
    onMessage: values.trace ? trace : undefined,
    onLog: (line) => process.stderr.write(`${line}\n`),
  });

  // The toolstack's own way into the store, without a socket.
  const store = new LocalXenstore(server);
  for (const [path, value] of values.set.map(pair)) store.write(path, value);

  const socket = await serveSocket(server, positionals[0] ?? defaultSocketPath());
  // The socket goes with the server, however that ends.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void socket.close().then(() => process.exit(0)));
  }
  console.log(`xenstore is served on ${socket.path}`);
}

main().catch((error: Error) => {
  console.error(`xenstore-server: ${error.message}`);
  process.exitCode = 1;
});
