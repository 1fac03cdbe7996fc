/** What the person gave us (an image, a configuration, a command line) cannot be used. The message says what, where and what to do. */
export class BadInputError extends Error {
  override name = 'BadInputError';
}

/** The feature exists in Xen or on the processor but not here. */
export class NotImplementedError extends Error {
  override name = 'NotImplementedError';
}

/** An invariant of ours is broken: a bug in Xenolith, never something that a guest may cause. */
export class InvariantError extends Error {
  override name = 'InvariantError';
}
