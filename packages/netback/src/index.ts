export { netBackend } from './backend/net-backend.js';
export type { NetBackendOptions } from './backend/options.js';
export { noTraffic, type VifStatistics } from './backend/statistics.js';
export { completed, isIntact } from './frame/checksum.js';
export { type Frame, formatMac, type Segmentation } from './frame/frame.js';
export { findHeaders, type Headers } from './frame/headers.js';
export { segment } from './frame/segment.js';
export { firstInterface } from './frontend/first-interface.js';
export { type FrontInterface, type NetFrontendOptions, netFrontend } from './frontend/net-frontend.js';
export { Capture, type CaptureOptions } from './ports/capture.js';
export type { FrameReceiver, NetworkPort } from './ports/network-port.js';
export { NetworkPortError, type OutsidePortOptions } from './ports/outside-port.js';
export { Switch, type SwitchOptions, type SwitchPortOptions } from './ports/switch.js';
export {
  connectWebSocketPort,
  type WebSocketLike,
  type WebSocketPortOptions,
} from './ports/websocket-port.js';
export { type PingOptions, Station, type StationOptions } from './station/station.js';
