import * as abi from '@xenolith/xen-abi';

/** A device cannot go on. The message says which node is wrong and how; `code` is the errno's name. */
export class XenbusError extends Error {
  override name = 'XenbusError';

  constructor(
    readonly code: 'ENOENT' | 'EINVAL' | 'ENOMEM' | 'EIO' | 'EBUSY' | 'ENODEV',
    message: string,
  ) {
    super(message);
  }
}

const ERRNO: Readonly<Record<string, number>> = {
  ENOENT: abi.ENOENT,
  EINVAL: abi.EINVAL,
  ENOMEM: abi.ENOMEM,
  EIO: abi.EIO,
  EBUSY: abi.EBUSY,
  ENODEV: abi.ENODEV,
};

/** What an error node holds: errno and text, as Linux's xenbus drivers write it. */
export function errorText(error: unknown): string {
  const { code = 'EIO', message = String(error) } = (error ?? {}) as { code?: string; message?: string };
  return `${ERRNO[code] ?? abi.EIO} ${message}`;
}
