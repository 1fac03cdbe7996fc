export const PAGE_SIZE = 4096;

/** Limits of the machine, the defaults of Xen's `gnttab_max_frames`, `gnttab_max_maptrack_frames` and `gnttab=max-ver`. */
export const MAX_GRANT_FRAMES = 64;
export const MAX_MAPTRACK_FRAMES = 1024;
export const MAX_VERSION = 2;
