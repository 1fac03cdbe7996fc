import { GNTST_general_error, GTF_permit_access, GTF_readonly } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { GrantRevokedError, NativeMapping } from './native-mapping.js';
import { testHost } from './testing.js';

function mapped(readonly = false) {
  const host = testHost();
  host.grant(1, 8, 0, 20, readonly ? GTF_permit_access | GTF_readonly : GTF_permit_access);
  const mapping = host.grants.mapForNative(0, 1, 8, readonly);
  if (!(mapping instanceof NativeMapping)) throw new Error(`status ${mapping}`);
  return { ...host, mapping };
}

describe('native mappings', () => {
  it('read copies and write through', () => {
    const { mapping, memory, grants } = mapped();
    mapping.writeU32(4092, 0x04030201);
    mapping.writeU16(0, 0xbeef);
    mapping.writeU8(2, 7);
    mapping.write(8, Uint8Array.of(9, 9));
    const copy = mapping.read(4092, 4);
    const filled = new Uint8Array(3).fill(5);
    mapping.readInto(4093, filled.subarray(1));
    expect([...filled]).toEqual([5, 2, 3]);
    memory.bytes[20 * 4096 + 4092] = 0xff;
    expect([...copy]).toEqual([1, 2, 3, 4]);
    expect([mapping.readU16(0), mapping.readU8(2), mapping.readU32(8)]).toEqual([0xbeef, 7, 0x0909]);
    expect(memory.written).toEqual(['20+4092:4', '20+0:2', '20+2:1', '20+8:2']);
    expect(grants.isMappedBy(0, 20, true)).toBe(true);
  });

  it('check their bounds and their permission', () => {
    const { mapping } = mapped();
    expect(() => mapping.readU32(4093)).toThrow(RangeError);
    expect(() => mapping.read(-1, 2)).toThrow(RangeError);
    expect(() => mapping.readInto(4095, new Uint8Array(2))).toThrow(RangeError);
    expect(() => mapping.write(4095, new Uint8Array(2))).toThrow(RangeError);
    expect(() => mapped(true).mapping.writeU8(0, 1)).toThrow('read-only');
  });

  it('end with unmapping, once', () => {
    const { mapping, grants, memory } = mapped();
    grants.unmapForNative(0, mapping);
    grants.unmapForNative(0, mapping);
    expect([mapping.live, memory.refs[20], memory.types[20]]).toEqual([false, 0, 0]);
    expect(() => mapping.readU8(0)).toThrow(GrantRevokedError);
    grants.checkInvariants();
  });

  it("end with their granter's death", () => {
    const { mapping, grants, memory } = mapped();
    grants.setDying(1);
    expect([mapping.live, memory.refs[20], grants.isIdle(1)]).toEqual([false, 0, true]);
    expect(() => mapping.writeU8(0, 0)).toThrow(GrantRevokedError);
    grants.removeDomain(1);
    grants.unmapForNative(0, mapping);
  });

  it("end with their holder's death", () => {
    const { mapping, grants, memory } = mapped();
    grants.removeDomain(0);
    expect([mapping.live, memory.refs[20], memory.types[20]]).toEqual([false, 0, 0]);
    grants.checkInvariants();
  });

  it('answer with a status when the grant does not allow it', () => {
    const { grants } = testHost();
    expect(grants.mapForNative(0, 1, 8, false)).toBe(GNTST_general_error);
    expect(() => grants.mapForNative(1, 2, 8, false)).toThrow('not a native domain');
  });

  it('a toolstack writes the first entries', () => {
    const { grants } = testHost();
    grants.writeEntry(1, 1, 0, 19);
    expect(grants.mapForNative(0, 1, 1, false)).toMatchObject({ mfn: 19, live: true });
    expect(() => grants.writeEntry(1, 512, 0, 19)).toThrow('beyond');
  });
});
