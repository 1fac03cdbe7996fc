export { PIN } from './active-entry.js';
export type { CopyPointer, CopyRequest } from './copy.js';
export type { GrantDomainOptions } from './domain-grants.js';
export type { GrantMapper, GrantMemory } from './grant-memory.js';
export { type CacheFlushRequest, GrantTables } from './grant-tables.js';
export type { MapRequest, MapResult, UnmapRequest } from './map.js';
export { GrantRevokedError, NativeMapping } from './native-mapping.js';
export { PageAccess, type PageMemory } from './page-access.js';
