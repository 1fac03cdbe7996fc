import { XENSTORE_REL_PATH_MAX } from '@xenolith/xen-abi';

/** The directory to which a domain's relative paths refer. */
export function domainPath(domid: number): string {
  return `/local/domain/${domid >>> 0}`;
}

/**
 * Whether an absolute path is well formed, as xenstored 4.17 has it: letters, digits and `-/_@`, no empty or trailing
 * component, at most `maxLength` bytes, not counting a `/local/domain/N/` that it begins with.
 */
export function isValidPath(path: string, maxLength: number = XENSTORE_REL_PATH_MAX): boolean {
  if (!/^\/[-A-Za-z0-9/_@]*$/.test(path)) return false;
  if (path !== '/' && (path.endsWith('/') || path.includes('//'))) return false;
  const prefix = /^\/local\/domain\/(?:\d{1,5}|-\d{1,4})\//.exec(path)?.[0].length ?? 0;
  return path.length <= prefix + maxLength;
}

/** The parent of an absolute path; that of `/` is `/`. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** The last component. Not for `/`. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function childPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`;
}
