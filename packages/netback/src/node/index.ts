export { type CaptureFileOptions, captureFile } from './capture-file.js';
export { type PasstOptions, type PortForward, startPasst } from './passt.js';
export { connectStreamPort, type StreamAddress, streamPort } from './stream-port.js';
