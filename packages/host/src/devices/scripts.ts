/** Where Xen's tools have their hotplug scripts, in a driver domain as in domain 0 (XEN_SCRIPT_DIR). */
const DIRECTORY = '/etc/xen/scripts';

/** The path that libxl writes for a script (libxl__abs_path). */
export const scriptPath = (script: string): string =>
  script.startsWith('/') ? script : `${DIRECTORY}/${script}`;
