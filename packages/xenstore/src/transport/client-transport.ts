/** How a client's bytes travel; the same for a ring, a socket and a server in the same process. */
export interface ClientTransport {
  send(bytes: Uint8Array): void;
  /** Names who gets the bytes that arrive, in pieces of any size. Called once, before anything is sent. */
  onReceive(handler: (bytes: Uint8Array) => void): void;
  /** Names who is told that nothing will arrive any more. */
  onClose(handler: (reason: Error) => void): void;
  close(): void;
}
