export { backendCompliance } from './backend-compliance.js';
export { Fabric, FabricGuest, settle } from './fabric.js';
export { frontendCompliance } from './frontend-compliance.js';
export type { ComplianceCase, DriverPair, ServedFrontends } from './rig.js';
