import type { Hypervisor } from '@xenolith/hypervisor-core';

function checks(hv: Hypervisor) {
  if (!hv.checks) throw new Error('The host was not made with `strict`.');
  return hv.checks;
}

/** Recounts everything and checks the invariants of event channels and grants. @throws Error that says what is wrong */
export function checkEverything(hv: Hypervisor): void {
  checks(hv).everything();
}

/** Checks the frames whose counts changed since the last call. @throws Error */
export function checkTouched(hv: Hypervisor): void {
  checks(hv).afterExit();
}
