import {
  memoryOp as memoryOpOf,
  mmuextOp as mmuextOpOf,
  mmuUpdate as mmuUpdateOf,
  setGdt as setGdtOf,
  updateDescriptor as updateDescriptorOf,
  updateVaMappingOtherDomain as updateOther,
  updateVaMapping as updateVa,
} from '../memory/index.js';
import { type Call, u32, u64 } from './call.js';

// The hypercalls of the memory policy: arguments as C types.

export const mmuUpdate = (c: Call): number =>
  mmuUpdateOf(c.hv.memory, c.vcpu, c.guest, u64(c, 0), u32(c, 1), u64(c, 2), u32(c, 3));

export const mmuextOp = (c: Call): number =>
  mmuextOpOf(c.hv.memory, c.vcpu, c.guest, u64(c, 0), u32(c, 1), u64(c, 2), u32(c, 3));

export const updateVaMapping = (c: Call): number =>
  updateVa(c.hv.memory, c.vcpu, c.guest, u64(c, 0), u64(c, 1), u64(c, 2));

export const updateVaMappingOtherDomain = (c: Call): number =>
  updateOther(c.hv.memory, c.vcpu, c.guest, u64(c, 0), u64(c, 1), u64(c, 2), u32(c, 3) & 0xffff);

export const memoryOp = (c: Call): number => memoryOpOf(c.hv.memory, c.vcpu, c.guest, u64(c, 0), u64(c, 1));

export const setGdt = (c: Call): number => setGdtOf(c.hv.memory, c.vcpu, c.guest, u64(c, 0), u32(c, 1));

export const updateDescriptor = (c: Call): number =>
  updateDescriptorOf(c.hv.memory, c.vcpu, u64(c, 0), u64(c, 1));
