import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { address, hexBytes, seconds, TRACE_CLASSES, traceClasses, wholeNumber } from './arguments.js';

describe('whole numbers', () => {
  const memory = wholeNumber(1, 3900, 'MiB');

  it('are taken within their range', () => {
    expect([memory('1'), memory('3900')]).toEqual([1, 3900]);
  });

  it.each(['0', '3901', '-1', '1.5', '1e3', '', '12MiB', 'NaN', '99999999999999999999'])(
    'refuse %j',
    (text) => {
      expect(() => memory(text)).toThrow('from 1 to 3900 MiB');
    },
  );
});

describe('seconds', () => {
  it('may have a fraction', () => {
    expect([seconds('10'), seconds('0.25')]).toEqual([10, 0.25]);
  });

  it.each(['0', '-3', 'ten', '', '3000000', '1s'])('refuse %j', (text) => {
    expect(() => seconds(text)).toThrow(InvalidArgumentError);
  });
});

describe('addresses', () => {
  it('are decimal or hexadecimal', () => {
    expect([address('4096'), address('0xffffffff81000000')]).toEqual([4096n, 0xffff_ffff_8100_0000n]);
  });

  it.each(['ffff', '0x', '-1', '0x1ffffffffffffffff', '1.0'])('refuse %j', (text) => {
    expect(() => address(text)).toThrow(InvalidArgumentError);
  });
});

describe('trace classes', () => {
  it('are a list, or all', () => {
    expect([...traceClasses('hypercall,traps')]).toEqual(['hypercall', 'trap']);
    expect([...traceClasses('all')]).toEqual(TRACE_CLASSES);
  });

  it('name what there is when they are wrong', () => {
    expect(() => traceClasses('hypercal')).toThrow('hypercall, trap, event');
  });
});

describe('bytes', () => {
  it('may be written in several ways', () => {
    const bytes = Uint8Array.of(0x48, 0x89, 0xd8);
    for (const text of ['4889d8', '48 89 D8', '0x48, 0x89, 0xd8']) expect(hexBytes(text)).toEqual(bytes);
  });

  it.each(['', '4', '48 8g', 'hello'])('refuse %j', (text) => {
    expect(() => hexBytes(text)).toThrow(InvalidArgumentError);
  });
});
