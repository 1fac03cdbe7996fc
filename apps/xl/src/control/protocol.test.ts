import { BadInputError } from '@xenolith/host-interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAnswer, parseRequest } from './protocol.js';

describe('requests', () => {
  it.each([
    { do: 'list' },
    { do: 'pause', domain: 'web' },
    { do: 'console', domain: '3' },
    { do: 'vcpu-set', domain: 'web', count: 2 },
    { do: 'mem-set', domain: 'web', mib: 64 },
    { do: 'create', text: 'name = "x"', file: 'x.cfg', directory: '/', paused: true },
    { do: 'block-list', domain: 'web' },
    { do: 'block-attach', domain: 'web', disk: 'a.img,raw,xvdb', directory: '/' },
    { do: 'block-detach', domain: 'web', vdev: 'xvdb', force: false },
    { do: 'block-resize', domain: 'web', vdev: 'xvdb' },
    { do: 'cd-insert', domain: 'web', vdev: 'hdc', target: '', directory: '/' },
    { do: 'network-list', domain: 'web' },
    { do: 'network-attach', domain: 'web', vif: 'bridge=xenbr0', directory: '/' },
    { do: 'network-detach', domain: 'web', vif: '0', force: true },
    { do: 'input', data: 'AA==' },
  ])('are read: %j', (request) => {
    expect(parseRequest(JSON.stringify({ ...request, more: 1 }))).toEqual(request);
  });

  it.each([
    ['', 'no JSON'],
    ['[]', 'no JSON object'],
    ['null', 'no JSON object'],
    ['{}', '"do" should be a string'],
    ['{"do":"explode"}', 'no request "explode"'],
    ['{"do":"pause"}', '"domain" should be a string'],
    ['{"do":"pause","domain":1}', '"domain" should be a string'],
    ['{"do":"vcpu-set","domain":"a","count":"2"}', '"count" should be a number'],
    ['{"do":"__proto__"}', 'no request'],
  ])('are refused: %s', (line, message) => {
    expect(() => parseRequest(line)).toThrow(BadInputError);
    expect(() => parseRequest(line)).toThrow(message);
  });

  it('property: any line is a request, or refused with words', () => {
    const line = fc.oneof(
      fc.string(),
      fc.json(),
      fc.object().map((it) => JSON.stringify(it)),
    );
    fc.assert(
      fc.property(line, (text) => {
        for (const parse of [parseRequest, parseAnswer]) {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(BadInputError);
          }
        }
      }),
    );
  });
});

it('answers are read', () => {
  expect(parseAnswer('{"ok":{"domid":1}}')).toEqual({ ok: { domid: 1 } });
  expect(parseAnswer('{"error":"no"}')).toEqual({ error: 'no' });
  expect(parseAnswer('{"output":"AA=="}')).toEqual({ output: 'AA==' });
  expect(() => parseAnswer('{"what":1}')).toThrow('means nothing');
});
