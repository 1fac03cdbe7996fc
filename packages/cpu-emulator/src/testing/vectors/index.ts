/** The vectors from a real processor: their inputs from a seed, the fixtures, and how the interpreter is put to them. */
export { FAMILIES, type Family, type Vector, type VectorSet } from './families.js';
export { expectedResults, hashInputs, type Recorded, readFixture, record, writeFixture } from './fixture.js';
export { difference, execute, prepareMachine, VECTOR_PAGES } from './replay.js';
export { STATE_BYTES, VectorState } from './state.js';
