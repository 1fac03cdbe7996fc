export { backendCompliance, frontendCompliance } from './compliance.js';
export { Fabric, FabricGuest, settle } from './fabric.js';
export type { ComplianceCase, DriverPair } from './rig.js';
