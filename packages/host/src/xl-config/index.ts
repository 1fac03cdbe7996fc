export { type DiskFormat, type DiskSpec, parseDiskSpec } from './disk-spec.js';
export type { PortSpec } from './port-spec.js';
export type { Position } from './scanner.js';
export { parseXlSyntax, type XlSetting, type XlValue } from './syntax.js';
export { parseVifSpec, type VifSpec } from './vif-spec.js';
export { parseXlConfig, type XlConfig } from './xl-config.js';
