import { ConsoleRing } from '@xenolith/shared-ring';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsoleBackend, ConsoleFrontend, type ConsoleSink } from './index.js';
import { testGuest } from './test-guest.js';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function setup(sink: Partial<ConsoleSink> = {}, maxPendingInput?: number) {
  const guest = testGuest();
  const output: string[] = [];
  const backend = new ConsoleBackend({
    page: guest.page,
    port: 5,
    eventChannels: guest.eventChannels,
    sink: { onOutput: (bytes) => output.push(decode(bytes)), ...sink },
    ...(maxPendingInput === undefined ? {} : { maxPendingInput }),
  });
  const frontend = new ConsoleFrontend(guest.page, () => guest.deliver());
  return { guest, output, backend, frontend };
}

describe('the console', () => {
  it('carries output at each event, and tells the guest that there is room', () => {
    const { guest, output, frontend } = setup();
    expect(frontend.write(encode('hello\n'))).toBe(6);
    expect(output).toEqual(['hello\n']);
    expect(guest.sent).toEqual([5]);
    expect(frontend.write(new Uint8Array(5000).fill(65))).toBe(2048);
    expect(output[1]).toHaveLength(2048);
  });

  it('prints what was there before it came', () => {
    const guest = testGuest();
    new ConsoleRing(guest.page).output.write(encode('early'));
    const output: string[] = [];
    const sink = { onOutput: (bytes: Uint8Array) => output.push(decode(bytes)) };
    new ConsoleBackend({ page: guest.page, port: 5, eventChannels: guest.eventChannels, sink });
    expect(output).toEqual(['early']);
  });

  it('keeps input until the guest has room', () => {
    const { backend, frontend, guest } = setup();
    const text = 'x'.repeat(1000) + 'y'.repeat(1000) + 'z'.repeat(1000);
    expect(backend.send(encode(text))).toBe(3000);
    let read = '';
    for (let i = 0; i < 5; i++) read += decode(frontend.read());
    expect(read).toBe(text);
    expect(guest.sent.length).toBeGreaterThan(1);
  });

  it('takes no more than its limit, and says when there is room again', () => {
    let room = 0;
    const { backend, frontend } = setup({ onInputRoom: () => room++ }, 2000);
    expect(backend.send(new Uint8Array(2500))).toBe(2000);
    expect(backend.send(new Uint8Array(2500))).toBe(1024);
    expect(backend.send(new Uint8Array(1))).toBe(0);
    expect(room).toBe(0);
    let read = 0;
    for (let i = 0; i < 5; i++) read += frontend.read().length;
    expect([read, room]).toEqual([3024, 1]);
  });

  it('a sink may answer at once', () => {
    const parts: { backend?: ConsoleBackend } = {};
    const { backend, frontend } = setup({ onOutput: (bytes) => parts.backend?.send(bytes) });
    parts.backend = backend;
    frontend.write(encode('echo'));
    expect(decode(frontend.read())).toBe('echo');
  });

  it('serves nobody with impossible indices, until they are mended', () => {
    const { guest, output, backend, frontend } = setup();
    guest.page.writeU32(3084, 5000);
    guest.page.writeU32(3076, 5000);
    guest.deliver();
    expect(backend.send(encode('in'))).toBe(2);
    expect([output, guest.sent]).toEqual([[], []]);
    guest.page.writeU32(3084, 0);
    guest.page.writeU32(3076, 0);
    frontend.write(encode('out'));
    expect(output).toEqual(['out']);
    expect(decode(frontend.read())).toBe('in');
  });

  it('leaves a guest alone that is gone, or that it was closed for', () => {
    const { guest, output, backend, frontend } = setup();
    new ConsoleRing(guest.page).output.write(encode('last words'));
    backend.close();
    backend.close();
    expect(output).toEqual(['last words']);
    frontend.write(encode('unheard'));
    expect(backend.send(encode('x'))).toBe(0);
    const gone = setup();
    gone.guest.revoke();
    gone.guest.deliver();
    gone.backend.send(encode('x'));
    gone.backend.close();
    expect(gone.output).toEqual([]);
  });

  it('cannot be harmed by any page', () => {
    const poke = fc.record({ at: fc.constantFrom(3072, 3076, 3080, 3084), value: fc.nat(0xffffffff) });
    fc.assert(
      fc.property(
        fc.array(poke, { maxLength: 40, size: 'max' }),
        fc.uint8Array({ maxLength: 100 }),
        (pokes, input) => {
          const { guest, backend } = setup();
          for (const { at, value } of pokes) {
            guest.page.writeU32(at, value);
            guest.deliver();
            expect(backend.send(input)).toBeLessThanOrEqual(input.length);
          }
        },
      ),
    );
  });
});
