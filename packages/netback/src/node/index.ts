export {
  connectStreamPort,
  type StreamAddress,
  type StreamPortOptions,
  streamPort,
} from './stream-port.js';
