import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseVifSpec } from './vif-spec.js';

describe('network interfaces as xl-network-configuration(5) describes them', () => {
  it.each([
    ['', {}],
    ['mac=00:16:3E:74:3d:76,bridge=xenbr1', { mac: '00:16:3e:74:3d:76', bridge: 'xenbr1' }],
    [' mac=0:16:3e:1:2:3 , type=vif ', { mac: '00:16:3e:01:02:03' }],
    ['rate=10Mb/s', { rate: { bytes: 62_500, intervalUs: 50_000 } }],
    ['rate=250KB/s', { rate: { bytes: 12_500, intervalUs: 50_000 } }],
    ['rate=1MB/s@20ms', { rate: { bytes: 20_000, intervalUs: 20_000 } }],
    ['rate=1GB/s@1s', { rate: { bytes: 1e9, intervalUs: 1e6 } }],
    [
      'ip=10.0.0.2,vifname=web,backend=router,devid=3,mtu=9000',
      { ip: '10.0.0.2', vifname: 'web', backend: 'router', devid: 3, mtu: 9000 },
    ],
  ])('%j', (text, expected) => expect(parseVifSpec(text)).toEqual(expected));

  it.each([
    ['mac=00:16:3e:00:00', 'no MAC address'],
    ['mac=01:16:3e:00:00:01', "is a group's"],
    ['bridge', '"bridge" should read key=value'],
    ['brige=a', 'did you mean "bridge"?'],
    ['script=vif-route', 'no hotplug scripts'],
    ['type=ioemu', 'emulated cards'],
    ['type=passt', 'passt are not there'],
    ['rate=10', 'should look like'],
    ['rate=1b/s@1us', 'nothing could be sent'],
    ['rate=1GB/s@9999s', 'interval'],
    ['devid=x', 'devid is a number from 0'],
    ['mtu=20', 'mtu is a number from 68'],
  ])('%j is refused: %s', (text, problem) => expect(() => parseVifSpec(text)).toThrow(problem));

  it('property: any text is an interface or is refused with a reason', () => {
    const word = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom('mac=', 'rate=1b/s@', 'type=vif', 'mtu=1500'),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (words) => {
        try {
          parseVifSpec(words.join(','));
        } catch (error) {
          expect((error as Error).name).toBe('BadInputError');
        }
      }),
    );
  });
});
