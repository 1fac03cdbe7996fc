import { expect, it } from 'vitest';
import { ConsoleBackend, Terminal } from './index.js';
import { testGuest } from './test-guest.js';

/** A terminal in a guest, and what a person at the other end sees. */
function setUp() {
  const guest = testGuest();
  let screen = '';
  const backend = new ConsoleBackend({
    page: guest.page,
    port: 5,
    eventChannels: { send: () => guestEvents.handler(), onEvent: () => {} },
    sink: {
      onOutput: (bytes) => {
        screen += new TextDecoder().decode(bytes);
      },
    },
  });
  const guestEvents = { handler: () => 0 };
  const terminal = new Terminal(guest.page, 6, {
    send: () => 0,
    onEvent: (_, handler) => {
      guestEvents.handler = () => {
        handler?.();
        return 0;
      };
    },
  });
  const type = (text: string) => {
    backend.send(new TextEncoder().encode(text));
    backend.service();
  };
  return { terminal, type, service: () => backend.service(), screen: () => screen };
}

it('reads lines, and shows what is typed', async () => {
  const { terminal, type, screen, service } = setUp();
  const first = terminal.readLine('> ');
  type('echx\x7fo ä\r');
  expect(await first).toBe('echo ä');
  const second = terminal.readLine('> ');
  type('never\x03');
  expect(await second).toBe('');
  const third = terminal.readLine('> ');
  type('\x04');
  expect(await third).toBeUndefined();
  service();
  expect(screen()).toBe('> echx\b \bo ä\r\n> never^C\r\n> \r\n');
});

it('keeps lines that are typed before they are asked for', async () => {
  const { terminal, type, screen, service } = setUp();
  type('one\ntwo\nthr');
  expect([await terminal.readLine('1 '), await terminal.readLine('2 ')]).toEqual(['one', 'two']);
  const third = terminal.readLine('3 ');
  type('ee\n');
  expect(await third).toBe('three');
  service();
  expect(screen()).toBe('1 one\r\n2 two\r\n3 three\r\n');
});

it('prints more than the ring holds', async () => {
  const { terminal, screen, service } = setUp();
  const text = 'x'.repeat(5000);
  terminal.print(`${text}\n`);
  let drained = false;
  void terminal.drained().then(() => {
    drained = true;
  });
  service();
  await Promise.resolve();
  expect(drained).toBe(false);
  service();
  service();
  await Promise.resolve();
  expect(drained).toBe(true);
  service();
  expect(screen()).toBe(`${text}\r\n`);
});
