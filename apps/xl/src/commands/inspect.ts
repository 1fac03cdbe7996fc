import { formatKernelReport, inspectKernel } from '@xenolith/domain-builder';
import { ExitStatus } from '../exit-status.js';
import { readInput } from '../files.js';

export interface InspectCommandOptions {
  memory: number;
  ramdisk?: string;
  json?: boolean;
}

/** `xenolith inspect KERNEL` */
export function inspectCommand(path: string, options: InspectCommandOptions): number {
  const report = inspectKernel(readInput(path, 'kernel'), {
    memory: options.memory,
    ...(options.ramdisk !== undefined && { ramdisk: readInput(options.ramdisk, 'ramdisk') }),
  });
  process.stdout.write(
    options.json ? `${JSON.stringify(report, undefined, 2)}\n` : formatKernelReport(report),
  );
  return report.problem === undefined ? ExitStatus.poweredOff : ExitStatus.badInput;
}
