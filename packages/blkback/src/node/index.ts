export { FileDevice, type FileDeviceOptions } from './file-device.js';
