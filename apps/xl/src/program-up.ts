import type { Command } from 'commander';
import { wholeNumber } from './arguments.js';
import { EXIT_STATUS_HELP, WORST_FIRST_HELP } from './exit-status.js';
import { addHostOptions } from './host-options.js';
import { KEYS_HELP } from './up/keys-help.js';

const DOMAIN_COMMANDS = [
  ['pause', 'stop a guest until it is unpaused'],
  ['unpause', 'let a paused guest go on'],
  ['shutdown', 'ask a guest to shut down'],
  ['reboot', 'ask a guest to reboot'],
  ['destroy', 'end a guest at once'],
] as const;

/** Options of commands that speak to a running host. */
const addHostChoice = (command: Command): Command =>
  command
    .option('--host <name>', 'which host, where several run')
    .option('--socket <path>', 'its control socket, where that has a place of its own');

/** `up`, and the commands to a host that `up` started. */
export function addUpCommands(program: Command, onStatus: (status: number) => void): void {
  const up = program
    .command('up')
    .summary('boot several guests in one host')
    .description(
      'Boots guests as their xl.cfg files describe them, all in one host. On a terminal it shows one console at a time; ' +
        'without one it prints lines with the name of the guest in front.',
    )
    .argument('<configs...>', 'configuration files, as those of xl')
    .option(
      '-m, --memory <MiB>',
      'memory of the host (default: what the guests need, at least 512)',
      wholeNumber(1, 3900, 'MiB'),
    )
    .option('--console-dir <directory>', 'write each console to a file there, NAME.console.log')
    .option('--host <name>', 'name of the host, for commands from other shells (default: host1 and so on)')
    .option('--socket <path>', 'place of its control socket, instead of one by its name')
    .option('-p, --paused', 'leave the guests paused');
  addHostOptions(up).addHelpText('after', `\n${KEYS_HELP}\n\n${EXIT_STATUS_HELP}\n\n${WORST_FIRST_HELP}`);
  up.action(async (configs: string[], options) => {
    const { upCommand } = await import('./commands/up.js');
    onStatus(await upCommand(configs, options));
  });

  const list = program.command('list').summary('list the guests of a running host');
  addHostChoice(list.option('--json', 'as JSON')).action(async (options) => {
    const { listCommand } = await import('./commands/control.js');
    onStatus(await listCommand(options));
  });

  const create = program
    .command('create')
    .summary('boot another guest in a running host')
    .argument('<config>', 'a configuration file, as those of xl')
    .option('-p, --paused', 'leave the guest paused');
  addHostChoice(create).action(async (config: string, options) => {
    const { createCommand } = await import('./commands/control.js');
    onStatus(await createCommand(config, options));
  });

  const console = program
    .command('console')
    .summary('attach to the console of a guest in a running host')
    .argument('<domain>', 'its name or number');
  addHostChoice(console).action(async (domain: string, options) => {
    const { consoleCommand } = await import('./commands/control.js');
    onStatus(await consoleCommand(domain, options));
  });

  for (const [operation, summary] of DOMAIN_COMMANDS) {
    const command = program.command(operation).summary(summary).argument('<domain>', 'its name or number');
    addHostChoice(command).action(async (domain: string, options) => {
      const { domainCommand } = await import('./commands/control.js');
      onStatus(await domainCommand(operation, domain, options));
    });
  }

  addBlockCommands(program, onStatus);
  addNetworkCommands(program, onStatus);

  const memSet = program
    .command('mem-set')
    .summary('ask a guest to have so much memory')
    .argument('<domain>', 'its name or number')
    .argument('<MiB>', 'memory', wholeNumber(1, 3900, 'MiB'));
  addHostChoice(memSet).action(async (domain: string, mib: number, options) => {
    const { memSetCommand } = await import('./commands/control.js');
    onStatus(await memSetCommand(domain, mib, options));
  });

  const vcpuSet = program
    .command('vcpu-set')
    .summary('ask a guest to have so many vCPUs online')
    .argument('<domain>', 'its name or number')
    .argument('<count>', 'vCPUs', wholeNumber(1, 128));
  addHostChoice(vcpuSet).action(async (domain: string, count: number, options) => {
    const { vcpuSetCommand } = await import('./commands/control.js');
    onStatus(await vcpuSetCommand(domain, count, options));
  });
}

/** Commands about the disks of a guest in a running host. */
function addBlockCommands(program: Command, onStatus: (status: number) => void): void {
  const block = (name: string, summary: string): Command =>
    addHostChoice(program.command(name).summary(summary).argument('<domain>', 'its name or number'));

  block('block-list', 'list the disks of a guest')
    .option('--json', 'as JSON')
    .action(async (domain: string, options) => {
      const { blockListCommand } = await import('./commands/block.js');
      onStatus(await blockListCommand(domain, options));
    });
  block('block-attach', 'plug a disk into a running guest')
    .argument('<disk>', 'as in xl.cfg: /path/to/image,raw,xvdb,rw')
    .action(async (domain: string, disk: string, options) => {
      const { blockAttachCommand } = await import('./commands/block.js');
      onStatus(await blockAttachCommand(domain, disk, options));
    });
  block('block-detach', 'unplug a disk of a running guest')
    .argument('<vdev>', 'name of the disk in the guest, such as xvdb')
    .option('-f, --force', 'even if the guest does not let go of it')
    .action(async (domain: string, vdev: string, options) => {
      const { blockDetachCommand } = await import('./commands/block.js');
      onStatus(await blockDetachCommand(domain, vdev, options));
    });
  block('block-resize', 'tell a guest that the file behind a disk has another size now')
    .argument('<vdev>', 'name of the disk in the guest')
    .action(async (domain: string, vdev: string, options) => {
      const { blockResizeCommand } = await import('./commands/block.js');
      onStatus(await blockResizeCommand(domain, vdev, options));
    });
  block('cd-insert', 'put a medium into a drive of a running guest')
    .argument('<vdev>', 'name of the drive in the guest')
    .argument('<image>', 'a file, or an address to read it from')
    .action(async (domain: string, vdev: string, image: string, options) => {
      const { mediumCommand } = await import('./commands/block.js');
      onStatus(await mediumCommand(domain, vdev, image, options));
    });
  block('cd-eject', 'take the medium out of a drive of a running guest')
    .argument('<vdev>', 'name of the drive in the guest')
    .action(async (domain: string, vdev: string, options) => {
      const { mediumCommand } = await import('./commands/block.js');
      onStatus(await mediumCommand(domain, vdev, '', options));
    });
}

/** Commands about the network interfaces of a guest in a running host. */
function addNetworkCommands(program: Command, onStatus: (status: number) => void): void {
  const network = (name: string, summary: string): Command =>
    addHostChoice(program.command(name).summary(summary));

  network('network-list', 'list the network interfaces of guests')
    .argument('<domains...>', 'their names or numbers')
    .option('--json', 'as JSON')
    .action(async (domains: string[], options) => {
      const { networkListCommand } = await import('./commands/network.js');
      onStatus(await networkListCommand(domains, options));
    });
  network('network-attach', 'plug a network interface into a running guest')
    .argument('<domain>', 'its name or number')
    .argument('[interface...]', 'as in xl.cfg, also in several words: bridge=xenbr0 mac=00:16:3e:00:00:02')
    .action(async (domain: string, words: string[], options) => {
      const { networkAttachCommand } = await import('./commands/network.js');
      onStatus(await networkAttachCommand(domain, words, options));
    });
  network('network-detach', 'unplug a network interface of a running guest')
    .argument('<domain>', 'its name or number')
    .argument('<interface>', 'its number in the guest, or its MAC address')
    .option('-f, --force', 'even if the guest does not let go of it')
    .action(async (domain: string, vif: string, options) => {
      const { networkDetachCommand } = await import('./commands/network.js');
      onStatus(await networkDetachCommand(domain, vif, options));
    });
}
