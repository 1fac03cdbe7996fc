import { Command, Option } from 'commander';
import { address, hexBytes, wholeNumber } from './arguments.js';
import { EXIT_STATUS_HELP } from './exit-status.js';
import { addHostOptions } from './host-options.js';
import { addUpCommands } from './program-up.js';
import { version } from './version.js';

const EXAMPLES = `Examples:
  xenolith demo                                  look around in a small guest
  xenolith run vmlinuz --ramdisk initrd.gz --cmdline "console=hvc0"
  xenolith run vmlinuz --ramdisk initrd.gz --vif type=passt,tcp=8080:80
  xenolith run kernel.elf --clock virtual --timeout 10 --trace=hypercall
  xenolith up web.cfg db.cfg                     several guests in one host
  xenolith list                                  what they do, from another shell
  xenolith inspect vmlinuz                       what Xen would do with it
  xenolith disasm --hex "48 8b 07 0f 05"

Ctrl-] leaves a guest. Everything runs in this process: no root, no KVM, no Xen underneath.`;

/** Options of commands that run one guest. */
function addRunOptions(command: Command, memory: number): Command {
  command
    .option('-m, --memory <MiB>', 'memory of the guest', wholeNumber(1, 3900, 'MiB'), memory)
    .option('-c, --vcpus <N>', 'virtual processors that are online at the start', wholeNumber(1, 128), 1)
    .option(
      '--maxvcpus <N>',
      'virtual processors that the guest can have (default: as --vcpus)',
      wholeNumber(1, 128),
    )
    .option('-n, --name <name>', 'name of the domain', 'guest')
    .option(
      '--weight <N>',
      'share of the processor, for --sched credit (default: 256)',
      wholeNumber(1, 65535),
    )
    .option('--cap <percent>', 'limit of the processor, for --sched credit; 0: none', wholeNumber(0, 12800))
    .addOption(
      new Option('--on-reboot <action>', 'what happens when the guest reboots')
        .choices(['restart', 'destroy'])
        .default('restart'),
    )
    .option(
      '-d, --disk <disk>',
      'a disk, as in xl.cfg: "disk.img,raw,xvda,rw", "disk.qcow2,qcow2,xvdb,rw" (writes are not kept); may be given again',
      (text: string, before: string[] = []) => [...before, text],
    )
    .option(
      '--vif <interface>',
      'a network interface, as in xl.cfg: "mac=00:16:3e:00:00:01,bridge=xenbr0", or to the outside: ' +
        '"type=passt,tcp=8080:80", "type=stream,path=/run/x.sock", "type=websocket,url=ws://…"; "capture=FILE" writes what goes by as pcapng; may be given again',
      (text: string, before: string[] = []) => [...before, text],
    )
    .option('--allow-console-io', 'let the guest print with CONSOLEIO_write, as a debug build of Xen does');
  return addHostOptions(command);
}

/** The command line as commander sees it. Commands load what they need when they run, so that `--help` is quick. */
export function createProgram(onStatus: (status: number) => void): Command {
  const program = new Command('xenolith')
    .description('Boots Xen guests on any machine, and shows what they do.')
    .version(version, '-V, --version')
    .helpCommand('help [command]', 'help for a command')
    .addHelpText('after', `\n${EXAMPLES}\n\n${EXIT_STATUS_HELP}`)
    .configureHelp({ optionTerm: (option) => option.flags.replace(' [classes]', '[=classes]') })
    // Commander puts its suggestion on a second line.
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'xenolith: ').replace(/\n\(/, ' (')),
    })
    .exitOverride();

  const run = program
    .command('run')
    .summary('boot a kernel')
    .description(
      'Boots a PV kernel (ELF or bzImage, packed or not) as a Xen guest, with its console on this terminal.',
    )
    .argument('<kernel>', 'the kernel file')
    .option('-r, --ramdisk <file>', 'the initial ramdisk')
    .option('-a, --cmdline <string>', 'the kernel command line');
  addRunOptions(run, 512).addHelpText('after', `\n${EXIT_STATUS_HELP}`);
  run.action(async (kernel: string, options) => {
    const { runCommand } = await import('./commands/run.js');
    onStatus(await runCommand(kernel, options));
  });

  const demo = program
    .command('demo')
    .summary('boot the guest that comes with xenolith')
    .description(
      'Boots a small guest that shows what it finds and takes commands. Without a terminal it runs a short script.',
    );
  addRunOptions(demo, 16).action(async (options) => {
    const { demoCommand } = await import('./commands/demo.js');
    onStatus(await demoCommand(options));
  });

  addUpCommands(program, onStatus);

  program
    .command('inspect')
    .summary('show what a kernel file is and where it would be loaded')
    .argument('<kernel>', 'the kernel file')
    .option('-m, --memory <MiB>', 'memory of the domain', wholeNumber(1, 3900, 'MiB'), 512)
    .option('-r, --ramdisk <file>', 'a ramdisk to load with it')
    .option('--json', 'as JSON')
    .action(async (kernel: string, options) => {
      const { inspectCommand } = await import('./commands/inspect.js');
      onStatus(inspectCommand(kernel, options));
    });

  program
    .command('features')
    .summary('list every hypercall and what a guest gets of it')
    .option('--json', 'as JSON')
    .action(async (options) => {
      const { featuresCommand } = await import('./commands/features.js');
      featuresCommand(options);
    });

  program
    .command('disasm')
    .summary('show instructions of a kernel, a file or some bytes')
    .description(
      'Shows instructions as the processor of xenolith decodes them. A kernel is shown from its entry point or ' +
        '--address on; --offset takes the bytes of any file as they are.',
    )
    .argument('[file]', 'a kernel, or any file with --offset')
    .option('-x, --hex <bytes>', 'these bytes instead of a file', hexBytes)
    .option(
      '-a, --address <address>',
      'virtual address to begin with (of the bytes, where they come from no kernel)',
      address,
    )
    .option('-o, --offset <bytes>', 'offset in the file to begin at', address)
    .option('-n, --count <N>', 'number of instructions', wholeNumber(1, 1_000_000), 32)
    .addOption(
      new Option('--mode <bits>', 'code for 64-bit or 32-bit mode').choices(['64', '32']).default('64'),
    )
    .action(async (file: string | undefined, options) => {
      const { disasmCommand } = await import('./commands/disasm.js');
      onStatus(disasmCommand(file, options));
    });

  return program;
}
