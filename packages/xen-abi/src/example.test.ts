import { readFileSync } from 'node:fs';
import {
  __HYPERVISOR_event_channel_op,
  ENOSYS,
  EVTCHNOP_send,
  EvtchnSend,
  errnoName,
  hypercallNames,
  SharedInfo,
  x86_32,
} from '@xenolith/xen-abi';
import { expect, it } from 'vitest';

it('runs the example of the README', () => {
  // A guest's memory: here 64 KiB with a shared info page at 0x1000.
  const memory = new DataView(new ArrayBuffer(0x10000));
  const shared = SharedInfo.at(memory, 0x1000);
  shared.vcpu_info.get(0).evtchn_upcall_mask = 1;
  shared.evtchn_pending.set(0, 1n << 5n);

  // The argument of a hypercall, copied out before anyone looks at it.
  EvtchnSend.at(memory, 0x2000).port = 5;
  const send = EvtchnSend.copy(memory, 0x2000);

  const call = `${hypercallNames[__HYPERVISOR_event_channel_op]}(${EVTCHNOP_send}, port ${send.port})`;
  const failure = errnoName(-ENOSYS);
  const offsets = [SharedInfo.offset.evtchn_pending, SharedInfo.for(x86_32).offset.evtchn_pending];

  expect([call, failure, offsets]).toEqual(['event_channel_op(4, port 5)', 'ENOSYS', [2048, 2048]]);
  expect(memory.getUint8(0x1001)).toBe(1);
  expect(memory.getUint8(0x1000 + 2048)).toBe(1 << 5);
});

it('is the code of the README', () => {
  // The code is indented in this file.
  const strip = (code: string) => code.replace(/^\s+/gm, '');
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const block = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  const [imports, body] = block.split('\n\n// A guest');
  const source = strip(readFileSync(new URL(import.meta.url), 'utf8'));
  expect(block.length).toBeGreaterThan(200);
  expect(source).toContain(strip(imports ?? ''));
  expect(source).toContain(strip(`// A guest${body}`));
});
