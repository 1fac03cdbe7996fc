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
    ['capture=web.pcapng', { capture: 'web.pcapng' }],
    ['type=stream,path=/run/a b.sock', { port: { type: 'stream', path: '/run/a b.sock' } }],
    ['type=stream,host=::1,port=1234', { port: { type: 'stream', host: '::1', port: 1234 } }],
    ['type=websocket,url=wss://relay/?key=a', { port: { type: 'websocket', url: 'wss://relay/?key=a' } }],
    [
      'type=passt,mac=0:16:3e:1:2:3,mtu=1400',
      {
        mac: '00:16:3e:01:02:03',
        mtu: 1400,
        port: { type: 'passt', tcp: [], udp: [], loopback: false, restrict: false },
      },
    ],
    [
      'type=passt,tcp=22,tcp=0.0.0.0/8080:80,udp=::1/53:5353,ip=10.0.2.15/24,gateway=10.0.2.2,dns=9.9.9.9,loopback=1,restrict=1',
      {
        ip: '10.0.2.15/24',
        port: {
          type: 'passt',
          tcp: [
            { port: 22, guestPort: 22 },
            { address: '0.0.0.0', port: 8080, guestPort: 80 },
          ],
          udp: [{ address: '::1', port: 53, guestPort: 5353 }],
          address: '10.0.2.15/24',
          gateway: '10.0.2.2',
          dns: ['9.9.9.9'],
          loopback: true,
          restrict: true,
        },
      },
    ],
    [
      'type=passt,dns=none',
      { port: { type: 'passt', tcp: [], udp: [], dns: [], loopback: false, restrict: false } },
    ],
    ['backend=router,script=vif-route', { backend: 'router', script: 'vif-route' }],
    ['backend=0', {}],
    ['untrusted,bridge=a', { bridge: 'a', trusted: false }],
  ])('%j', (text, expected) => expect(parseVifSpec(text)).toEqual(expected));

  it.each([
    ['mac=00:16:3e:00:00', 'no MAC address'],
    ['mac=01:16:3e:00:00:01', "is a group's"],
    ['bridge', '"bridge" should read key=value'],
    ['brige=a', 'did you mean "bridge"?'],
    ['script=vif-route', 'no hotplug scripts but in a driver domain'],
    ['type=ioemu', 'an emulated card'],
    ['type=tap', 'the type is vif, passt, stream, websocket, not "tap"'],
    ['type=constructor', 'not "constructor"'],
    ['tcp=80', '"tcp" belongs to type=passt'],
    ['type=passt,path=/x', '"path" belongs to type=stream'],
    ['type=passt,restrikt=1', 'did you mean "restrict"?'],
    ['type=passt,bridge=a', 'with type=passt it is on no bridge'],
    ['type=stream,path=/x,backend=store', 'on no other domain'],
    ['type=passt,tcp=70000', 'tcp looks like 8080, 8080:80'],
    ['type=passt,tcp=80:0', 'not "80:0"'],
    ['type=passt,udp=53', 'udp needs loopback=1'],
    ['type=passt,loopback=yes', 'loopback is 0 or 1'],
    ['type=passt,ip=10.0.2.15,gateway=10.0.2.2', 'an ip looks like 10.0.2.15/24'],
    ['type=passt,ip=10.0.2.15/24', 'both or neither'],
    ['type=passt,ip=10.0.2.15/24,gateway=here', 'a gateway looks like'],
    ['type=stream', 'either a path or a host and a port'],
    ['type=stream,path=/x,host=a,port=1', 'either a path or'],
    ['type=stream,host=a,port=0', 'port is a number from 1'],
    ['type=websocket', 'a relay has a url'],
    ['type=websocket,url=http://x', 'begins with ws:// or wss://'],
    ['capture=', 'the file of a capture has a name'],
    ['capture=x,backend=store', 'in a driver domain'],
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
      fc.constantFrom('type=passt', 'type=stream', 'type=websocket', 'tcp=80:', 'path=/', 'url=ws://'),
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
