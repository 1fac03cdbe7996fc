import { CONSOLEIO_read, CONSOLEIO_write, E2BIG, EFAULT, ENOSYS, EPERM } from '@xenolith/xen-abi';
import { type Call, u32, u64 } from './call.js';

const CHUNK = 128;

/** console_io: a domU may not, unless the host lets this one write (`DomainSettings.consoleIo`). */
export function consoleIo(call: Call): number {
  const { domain, guest } = call;
  const { consoleIo: write, consoleIn: read } = domain.settings;
  if (!write) return -EPERM;
  const count = u32(call, 1);
  const buffer = u64(call, 2);
  switch (u32(call, 0)) {
    case CONSOLEIO_write:
      for (let done = 0; done < count; done += CHUNK) {
        const bytes = guest.copyFrom(buffer + BigInt(done), Math.min(CHUNK, count - done));
        if (!bytes) return -EFAULT;
        write(bytes);
      }
      return 0;
    case CONSOLEIO_read: {
      if (count > 0x7fff_ffff) return -E2BIG;
      const bytes = read?.(Math.min(count, 0x1000)) ?? new Uint8Array(0);
      return guest.copyTo(buffer, bytes) ? bytes.length : -EFAULT;
    }
    default:
      return -ENOSYS;
  }
}
