export { type BlockBackendOptions, blockBackend } from './backend/block-backend.js';
export { type Awaitable, type BlockDevice, BlockDeviceError } from './devices/block-device.js';
export { HttpDevice, type HttpDeviceOptions } from './devices/http-device.js';
export { MemoryDevice } from './devices/memory-device.js';
export { OverlayDevice } from './devices/overlay.js';
export { Qcow2Device, type Qcow2Options } from './devices/qcow2/qcow2-device.js';
export { blockFrontend, type FrontDisk } from './frontend/block-frontend.js';
export { firstDisk } from './frontend/first-disk.js';
