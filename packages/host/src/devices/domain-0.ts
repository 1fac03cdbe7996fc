/** Whether a name or number of a backend's domain means domain 0; none does, too. */
export const isDomain0 = (which: string | number | undefined): boolean =>
  which === undefined || which === 'Domain-0' || String(which) === '0';
