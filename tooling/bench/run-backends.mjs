// Backends without a processor: node run-backends.mjs REQUESTS. Prints lines RESULT name value unit, then DONE.
import { blockRate } from './src/devices/block-load.mjs';
import { networkRates } from './src/devices/network-load.mjs';

const requests = Number(process.argv[2]);
const result = (/** @type {string} */ name, /** @type {number} */ value) =>
  console.log(`RESULT ${name} ${value.toFixed(1)} 1/s`);

const small = { requests, segments: 1 };
// The first of each kind lets V8 compile it.
for (const warm of [true, false]) {
  const say = warm ? () => {} : result;
  say('block-read', await blockRate({ ...small, depth: 32, kind: 'read', persistent: true }));
  say('block-read-single', await blockRate({ ...small, depth: 1, kind: 'read', persistent: true }));
  say('block-read-mapped', await blockRate({ ...small, depth: 32, kind: 'read', persistent: false }));
  say('block-write', await blockRate({ ...small, depth: 32, kind: 'write', persistent: true }));
  const large = { requests: requests / 8, segments: 11 };
  say('block-read-44k', await blockRate({ ...large, depth: 32, kind: 'read', persistent: true }));
  for (const [name, length, frames] of /** @type {const} */ ([
    ['1514', 1514, requests],
    ['64k', 64000, requests / 16],
  ])) {
    const { tx, rx } = await networkRates({ frames, length });
    say(`net-tx-${name}`, tx);
    say(`net-rx-${name}`, rx);
  }
}
console.log('DONE');
