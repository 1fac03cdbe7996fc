export { type BackendDevice, type BackendDriver, BackendHandshake } from './backend.js';
export { DeviceEnd, type DeviceIdentity } from './device-end.js';
export { Directory } from './directory.js';
export { XenbusError } from './errors.js';
export { type FrontendDevice, type FrontendDriver, FrontendHandshake } from './frontend.js';
export { GrantedBuffer } from './granted-buffer.js';
export { GrantedPages } from './granted-pages.js';
export { type ServedDevices, type ServeOptions, serveBackends, serveFrontends } from './serve.js';
export { parseState, stateName, XenbusState } from './state.js';
export {
  addDevice,
  backendPath,
  type DeviceNode,
  type DeviceSpec,
  deviceClosed,
  deviceNodes,
  frontendPath,
  libxlPath,
  removeDevice,
  requestRemoval,
} from './toolstack.js';
