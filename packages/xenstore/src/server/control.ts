import { XenstoreError } from '../errors.js';
import { atoi } from '../wire/text.js';
import type { Quotas } from './quotas.js';
import { type Handler, OK, type Request } from './request.js';

const quotaTexts: Record<keyof Quotas, string> = {
  nodes: 'Nodes per domain',
  watches: 'Watches per domain',
  transactions: 'Transactions per domain',
  outstanding: 'Outstanding requests per domain',
  'transaction-nodes': 'Nodes that a transaction may touch',
  memory: 'Bytes that may wait for a domain',
  'node-size': 'Size of a node',
  'path-max': 'Length of a path',
  permissions: 'Permissions of a node',
};

/** The control commands that make sense without a daemon's process; names and arguments as in xenstored 4.17. */
const commands: Record<string, { arguments: string; run(request: Request, args: string[]): string }> = {
  check: {
    arguments: '',
    run({ core }, args) {
      if (args.length > 0) throw new XenstoreError('EINVAL');
      core.check();
      return OK;
    },
  },
  print: {
    arguments: '<string>',
    run({ core }, args) {
      if (args.length !== 1) throw new XenstoreError('EINVAL');
      core.print(args[0]!);
      return OK;
    },
  },
  quota: {
    arguments: '[set <name> <val>|<domid>]',
    run(request, args) {
      if (args.length === 0) return showQuotas(request.core.quotas);
      if (args[0] === 'set') return setQuota(request.core.quotas, args.slice(1));
      if (args.length !== 1) throw new XenstoreError('EINVAL');
      return showDomain(request, atoi(args[0]!));
    },
  },
  help: {
    arguments: '',
    run(_, args) {
      if (args.length > 0) throw new XenstoreError('EINVAL');
      return `${Object.entries(commands)
        .map(([name, command]) => `${name}\t${command.arguments}\n`)
        .join('')}\0`;
    },
  },
};

export const control: Handler = (request) => {
  const [name, ...args] = request.strings(1) as [string, ...string[]];
  if (!Object.hasOwn(commands, name)) throw new XenstoreError('EINVAL');
  return commands[name]!.run(request, args);
};

function showQuotas(quotas: Quotas): string {
  const lines = Object.entries(quotaTexts).map(
    ([name, text]) => `${name.padEnd(17)}: ${String(quotas[name as keyof Quotas]).padStart(8)} ${text}\n`,
  );
  return `Quota settings:\n${lines.join('')}\0`;
}

function setQuota(quotas: Quotas, args: string[]): string {
  const [name, value] = args;
  if (args.length !== 2 || !Object.hasOwn(quotaTexts, name!) || atoi(value!) < 1)
    throw new XenstoreError('EINVAL');
  quotas[name as keyof Quotas] = atoi(value!);
  return OK;
}

function showDomain({ core }: Request, domid: number): string {
  const domain = core.domains.get(domid);
  if (!domain) throw new XenstoreError('ENOENT');
  const { connection } = domain;
  const figures = {
    nodes: domain.nodes,
    watches: connection?.watches.size ?? 0,
    transactions: connection?.transactions.size ?? 0,
    outstanding: connection?.outstandingRequests ?? 0,
    memory: core.domains.memory(domid),
  };
  const lines = Object.entries(figures).map(([name, n]) => `${name.padEnd(16)}: ${String(n).padStart(8)}\n`);
  return `Domain ${domid}:\n${lines.join('')}\0`;
}
