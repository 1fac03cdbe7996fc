import { XENSTORE_PAYLOAD_MAX, XS_READ } from '@xenolith/xen-abi';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { XenstoreProtocolError } from '../errors.js';
import { encodeMessage, type Message } from './message.js';
import { MessageParser } from './parser.js';

const u32 = fc.nat(0xffffffff);
const message: fc.Arbitrary<Message> = fc.record({
  type: u32,
  requestId: u32,
  transactionId: u32,
  body: fc.uint8Array({ maxLength: 40 }),
});

it('a header is four little-endian words', () => {
  const bytes = encodeMessage({
    type: XS_READ,
    requestId: 0x01020304,
    transactionId: 5,
    body: new Uint8Array([65, 0]),
  });
  expect([...bytes]).toEqual([2, 0, 0, 0, 4, 3, 2, 1, 5, 0, 0, 0, 2, 0, 0, 0, 65, 0]);
});

it('finds the same messages however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (messages, cuts) => {
        const bytes = messages.flatMap((each) => [...encodeMessage(each)]);
        const parser = new MessageParser();
        const found: Message[] = [];
        for (const cut of [...cuts, bytes.length]) {
          for (const each of parser.feed(Uint8Array.from(bytes.splice(0, cut)))) found.push(each);
        }
        expect(found).toEqual(messages);
      },
    ),
  );
});

it('takes any bytes: messages, or the end', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
      const parser = new MessageParser();
      try {
        for (const chunk of chunks) {
          for (const each of parser.feed(chunk))
            expect(each.body.length).toBeLessThanOrEqual(XENSTORE_PAYLOAD_MAX);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(XenstoreProtocolError);
      }
    }),
  );
});

it('4096 bytes of payload are the most', () => {
  const body = new Uint8Array(4096);
  const parser = new MessageParser();
  const largest = encodeMessage({ type: 2, requestId: 1, transactionId: 0, body });
  expect([...parser.feed(largest)]).toHaveLength(1);
  largest[12] = 1;
  expect(() => [...parser.feed(largest)]).toThrow(XenstoreProtocolError);
});
