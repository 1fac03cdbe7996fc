import { lstatSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { BadInputError } from '@xenolith/host-interface';

const SUFFIX = '.sock';
/** `sun_path` of unix(7), with its final NUL. */
const MAX_PATH_BYTES = 107;

/**
 * Where hosts have their sockets: a directory that is this user's alone, as whoever can connect can do everything to the
 * guests. @throws BadInputError if another has put something there
 */
export function socketDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const { uid } = userInfo();
  const directory = env.XDG_RUNTIME_DIR
    ? join(env.XDG_RUNTIME_DIR, 'xenolith')
    : join(tmpdir(), `xenolith-${uid}`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const stat = lstatSync(directory);
    if (stat.isDirectory() && (uid < 0 || (stat.uid === uid && (stat.mode & 0o077) === 0))) return directory;
  } catch (error) {
    throw new BadInputError(`There is no place for control sockets: ${(error as Error).message}.`);
  }
  throw new BadInputError(`${directory} is not this user's alone: give another place with --socket.`);
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,40}$/;

/** @throws BadInputError */
export function socketOf(host: string, env = process.env): string {
  if (!NAME.test(host))
    throw new BadInputError(
      `The name of a host has letters, digits, ".", "_" and "-", unlike "${host.slice(0, 50)}".`,
    );
  return checkPath(join(socketDirectory(env), `${host}${SUFFIX}`));
}

export function checkPath(path: string): string {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  throw new BadInputError(`The path of a socket has at most ${MAX_PATH_BYTES} bytes, unlike ${path}.`);
}

/** Names of the hosts that have a socket, running or not. */
export function knownHosts(env = process.env): string[] {
  return readdirSync(socketDirectory(env))
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

/** A connection to a socket, or undefined if nobody listens there. */
export function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

/** Listens on a path, where a host that is gone may have left a socket. @returns false if one listens there already */
export async function listenOn(server: Server, path: string): Promise<boolean> {
  if (await attempt(server, path)) return true;
  const other = await tryConnect(path);
  other?.destroy();
  if (other) return false;
  // Never remove what is no socket.
  if (lstatSync(path).isSocket()) unlinkSync(path);
  return attempt(server, path);
}

function attempt(server: Server, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(new BadInputError(`No control socket at ${path}: ${error.message}.`));
    };
    server.once('error', failed);
    server.listen(path, () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}
