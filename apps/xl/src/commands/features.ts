import { featureText, listFeatures } from '@xenolith/hypervisor-core';

/** `xenolith features`: every hypercall and sub-operation, and what a guest gets of it. */
export function featuresCommand(options: { json?: boolean }): void {
  process.stdout.write(options.json ? `${JSON.stringify(listFeatures(), undefined, 2)}\n` : featureText());
}
