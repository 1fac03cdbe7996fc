export { connectSocket, defaultSocketPath } from './connect-socket.js';
export { type SocketServer, type SocketServerOptions, serveSocket } from './serve-socket.js';
