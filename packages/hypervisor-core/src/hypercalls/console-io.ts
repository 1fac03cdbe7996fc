import { CONSOLEIO_write, E2BIG, EFAULT, EPERM } from '@xenolith/xen-abi';
import { Operations, plain, preemptible } from '../operations.js';
import { type Call, u32, u64 } from './call.js';

const CHUNK = 128;

/** console_io: a domU may not, unless the host lets this one write (`DomainSettings.consoleIo`). */
export const CONSOLE_OPERATIONS = new Operations<Call, 'CONSOLEIO_'>('CONSOLEIO_', {
  write: preemptible(plain(write)),
  read: plain(read),
});

export const consoleIo = (call: Call): number | bigint =>
  call.domain.settings.consoleIo ? CONSOLE_OPERATIONS.make(u32(call, 0), call, u64(call, 2)) : -EPERM;

function write(call: Call, buffer: bigint): number {
  const { domain, guest } = call;
  const count = u32(call, 1);
  const { memory } = call.hv;
  for (let done = 0; done < count; done += CHUNK) {
    if (done > 0 && memory.work.isEnough)
      return memory.continueWith([BigInt(CONSOLEIO_write), BigInt(count - done), buffer + BigInt(done)]);
    memory.work.done += CHUNK;
    const bytes = guest.copyFrom(buffer + BigInt(done), Math.min(CHUNK, count - done));
    if (!bytes) return -EFAULT;
    domain.settings.consoleIo?.(bytes);
  }
  return 0;
}

function read(call: Call, buffer: bigint): number {
  const { domain, guest } = call;
  const count = u32(call, 1);
  if (count > 0x7fff_ffff) return -E2BIG;
  const bytes = domain.settings.consoleIn?.(Math.min(count, 0x1000)) ?? new Uint8Array(0);
  return guest.copyTo(buffer, bytes) ? bytes.length : -EFAULT;
}
