import { resolve } from 'node:path';
import type { DomainInfo } from '@xenolith/host';
import { ControlClient, type HostChoice } from '../control/client.js';
import type { ControlRequest, DomainOperation } from '../control/protocol.js';
import { ExitStatus } from '../exit-status.js';
import { readInput } from '../files.js';
import { listText } from '../list-text.js';
import { Terminal } from '../terminal.js';

/** Commands to a running host, from another shell. */

/** One request and its answer. @throws BadInputError */
export async function ask(choice: HostChoice, request: ControlRequest): Promise<unknown> {
  const client = await ControlClient.connect(choice);
  try {
    return await client.request(request);
  } finally {
    client.close();
  }
}

/** `xenolith list` */
export async function listCommand(options: HostChoice & { json?: boolean }): Promise<number> {
  const domains = (await ask(options, { do: 'list' })) as DomainInfo[];
  const text = options.json ? JSON.stringify(domains, undefined, 2) : listText(domains);
  process.stdout.write(`${text}\n`);
  return ExitStatus.poweredOff;
}

/** `xenolith pause` and its siblings. */
export async function domainCommand(
  operation: Exclude<DomainOperation, 'console'>,
  domain: string,
  options: HostChoice,
): Promise<number> {
  await ask(options, { do: operation, domain });
  return ExitStatus.poweredOff;
}

/** `xenolith mem-set DOMAIN MIB` */
export async function memSetCommand(domain: string, mib: number, options: HostChoice): Promise<number> {
  await ask(options, { do: 'mem-set', domain, mib });
  return ExitStatus.poweredOff;
}

/** `xenolith vcpu-set DOMAIN COUNT` */
export async function vcpuSetCommand(domain: string, count: number, options: HostChoice): Promise<number> {
  await ask(options, { do: 'vcpu-set', domain, count });
  return ExitStatus.poweredOff;
}

/** `xenolith create GUEST.cfg` */
export async function createCommand(
  path: string,
  options: HostChoice & { paused?: boolean },
): Promise<number> {
  const text = new TextDecoder().decode(readInput(path, 'configuration'));
  const { domid, name, warnings } = (await ask(options, {
    do: 'create',
    text,
    file: path,
    directory: resolve('.'),
    paused: options.paused ?? false,
  })) as { domid: number; name: string; warnings: string[] };
  for (const warning of warnings) process.stderr.write(`xenolith: ${warning}\n`);
  process.stdout.write(`${name} is domain ${domid}\n`);
  return ExitStatus.poweredOff;
}

/** `xenolith console DOMAIN`: until Ctrl-], or the guest has ended. */
export async function consoleCommand(domain: string, options: HostChoice): Promise<number> {
  const client = await ControlClient.connect(options);
  return new Promise((resolve, reject) => {
    const leave = (status: number, last?: string): void => {
      terminal.close();
      client.close();
      if (last !== undefined) terminal.say(`xenolith: ${last}`);
      resolve(status);
    };
    const terminal = new Terminal({
      input: process.stdin,
      output: process.stdout,
      onInput(bytes) {
        client.input(bytes);
        return bytes.length;
      },
      onLeave: () => leave(ExitStatus.poweredOff),
      onOutputClosed: () => leave(ExitStatus.outputClosed),
    });
    client.stream = {
      onOutput: (bytes) => terminal.write(bytes),
      onEnd: (reason) => leave(ExitStatus.poweredOff, reason === undefined ? 'the host is gone' : undefined),
    };
    client.request({ do: 'console', domain }).then(
      () => terminal.open(),
      (error: unknown) => {
        client.close();
        reject(error);
      },
    );
  });
}
