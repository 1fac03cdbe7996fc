import type { EventChannels, GrantMapping } from '@xenolith/guest-api';
import { viewMemory } from '@xenolith/shared-ring';

/** A console page and a port for tests, with the events that were sent to the guest. */
export function testGuest() {
  const view = new DataView(new ArrayBuffer(4096));
  let live = true;
  const check = () => {
    if (!live) throw new Error('The page is not mapped any more.');
    return view;
  };
  const memory = () => viewMemory(check());
  const page: GrantMapping = {
    get live() {
      return live;
    },
    readonly: false,
    read: (offset, length) => memory().read(offset, length),
    readInto: (offset, to) => to.set(memory().read(offset, to.length)),
    write: (offset, data) => memory().write(offset, data),
    readU8: (offset) => check().getUint8(offset),
    writeU8: (offset, value) => check().setUint8(offset, value),
    readU16: (offset) => check().getUint16(offset, true),
    writeU16: (offset, value) => check().setUint16(offset, value, true),
    readU32: (offset) => memory().readU32(offset),
    writeU32: (offset, value) => memory().writeU32(offset, value),
  };
  let handler: (() => void) | undefined;
  const sent: number[] = [];
  const eventChannels: Pick<EventChannels, 'send' | 'onEvent'> = {
    send: (port) => {
      sent.push(port);
      return 0;
    },
    onEvent: (_, given) => {
      handler = given;
    },
  };
  return {
    page,
    eventChannels,
    /** Ports that the backend sent events on. */
    sent,
    /** An event from the guest. */
    deliver: () => handler?.(),
    /** The guest is gone. */
    revoke: () => {
      live = false;
    },
  };
}
