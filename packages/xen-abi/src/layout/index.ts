export { type Abi, x86_32, x86_64 } from './abi.js';
export { type ArrayAccessor, array, type ReadonlyArrayAccessor } from './array.js';
export {
  type Accessor,
  type AccessorOf,
  type AnyLayout,
  type Fields,
  type Layout,
  struct,
  union,
} from './struct.js';
export {
  bytes,
  type Compound,
  type FieldType,
  handle,
  type Kind,
  only,
  type Place,
  type Resolved,
  type Scalar,
  s8,
  s16,
  s32,
  s64,
  text,
  u8,
  u16,
  u32,
  u64,
  ulong,
} from './types.js';
export { isLayout, type WalkedField, walkFields } from './walk.js';
