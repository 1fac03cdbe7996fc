import type { Frame } from '../frame/frame.js';

/** Gets the frames that come out of a port. Must not throw. */
export type FrameReceiver = (frame: Frame) => void;

/**
 * One end of a cable, as the one who has it uses it: a backend has one for each vif. What is at the other end is a
 * switch, a socket, or a test.
 */
export interface NetworkPort {
  /** Sends a frame. What cannot be taken is dropped; it never throws. */
  send(frame: Frame): void;
  /** The link is up, and `receiver` gets what comes; undefined: it is down, and what comes is dropped. */
  connect(receiver: FrameReceiver | undefined): void;
  /** Pulls the cable for good. */
  close?(): void;
}
