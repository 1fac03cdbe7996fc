import { createServer, connect as dial, type Socket } from 'node:net';

/** A TCP port of this machine's loopback that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether somebody listens there. */
export const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket: Socket = dial(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** ARP: 00:16:3e:00:00:01 at 10.0.2.15 asks for 10.0.2.2. */
export const WHO_HAS_GATEWAY = Buffer.from(
  'ffffffffffff' +
    '00163e000001' +
    '0806' +
    '0001080006040001' +
    '00163e000001' +
    '0a00020f' +
    '000000000000' +
    '0a000202',
  'hex',
);
