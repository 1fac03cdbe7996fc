import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianPieces } from '@xenolith-tooling/debian';

/** fake-xen.c takes it for VIRQ_DOM_EXC: domains came, shut down or went. */
const VIRQ = 1;
/** What fake-xen.c gives, by the names that xenstored looks for. */
const LIBRARIES = ['libxenctrl.so.4.17', 'libxenevtchn.so.1', 'libxengnttab.so.1'];

const source = fileURLToPath(new URL('fake-xen.c', import.meta.url));

/** @param {number} ms */
const pause = (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** A running xenstored of Debian's. All is synchronous: what is asked for has happened on return. */
export class RealXenstored {
  #directory;
  #process;
  #events;

  /** @param {string} program @param {string[]} args */
  constructor(program, args) {
    this.#directory = mkdtempSync(join(tmpdir(), 'xenstored-'));
    const libraries = join(this.#directory, 'lib');
    mkdirSync(libraries);
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-o', join(libraries, 'fake-xen.so'), source]);
    for (const name of LIBRARIES) symlinkSync('fake-xen.so', join(libraries, name));
    execFileSync('mkfifo', [this.#path('events')]);
    this.#events = openSync(this.#path('events'), 'r+');
    this.createDomain(0);
    writeFileSync(this.#path('dom0.port'), '1');
    this.#process = spawn(program, ['--no-fork', ...args], {
      env: { FAKE_XEN: this.#directory, LD_LIBRARY_PATH: libraries, XENSTORED_RUNDIR: this.#directory },
      stdio: 'ignore',
    });
    this.waitFor(() => this.#listens(), 'listen on its socket');
  }

  /** In Linux's list, a socket that takes connections has this flag (net/unix/af_unix.c). */
  #listens() {
    const sockets = readFileSync('/proc/net/unix', 'utf8').split('\n');
    return sockets.some((line) => line.endsWith(` ${this.socket}`) && line.includes(' 00010000 '));
  }

  /** @param {string} name */
  #path(name) {
    return join(this.#directory, name);
  }

  get socket() {
    return this.#path('socket');
  }

  /** @param {number} domid @returns {string} the file that is the domain's xenstore page */
  page(domid) {
    return this.#path(`dom${domid}.page`);
  }

  /** From now on there is such a domain; INTRODUCE makes it known. @param {number} domid */
  createDomain(domid) {
    writeFileSync(this.page(domid), new Uint8Array(4096));
  }

  /** @param {number} domid */
  shutDownDomain(domid) {
    writeFileSync(this.#path(`dom${domid}.shutdown`), '');
    this.#event(VIRQ);
  }

  /** @param {number} domid */
  destroyDomain(domid) {
    rmSync(this.page(domid));
    rmSync(this.#path(`dom${domid}.shutdown`), { force: true });
    this.#event(VIRQ);
  }

  /** An event on a domain's xenstore port. @param {number} domid */
  notify(domid) {
    this.#event(VIRQ + 1 + domid);
  }

  /** @param {number} port */
  #event(port) {
    writeSync(this.#events, Uint8Array.of(port));
  }

  /** @param {() => boolean} condition @param {string} what */
  waitFor(condition, what) {
    const end = performance.now() + 20_000;
    for (let round = 1; !condition(); round++) {
      if (round < 20) continue;
      pause(0.1);
      if (round % 100 === 0 && this.#dead()) throw new Error(`The real xenstored died; it did not ${what}.`);
      if (performance.now() > end) throw new Error(`The real xenstored does not ${what}.`);
    }
  }

  /** Node learns of its end only when the event loop turns; until then it is a zombie. */
  #dead() {
    return / Z /.test(readFileSync(`/proc/${this.#process.pid}/stat`, 'utf8'));
  }

  stop() {
    this.#process.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * How to run Debian 12's xenstored, or the reason why it cannot be run here. In CI it must.
 * @returns {{ start: (args?: string[]) => RealXenstored, reason?: undefined } | { start?: undefined, reason: string }}
 */
export function realXenstored() {
  const { pieces, reason } = debianPieces();
  if (!pieces) return { reason };
  try {
    execFileSync('gcc', ['-E', '-include', 'xenctrl.h', '-x', 'c', '/dev/null'], { stdio: 'ignore' });
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    return { reason: 'gcc and libxen-dev are not installed' };
  }
  return { start: (args = []) => new RealXenstored(pieces.xenstored, args) };
}
