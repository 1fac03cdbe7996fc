/** The caller's own event channels (event_channel.h). Ports are its own unless said otherwise. */
export interface EventChannels {
  /** Makes a port that `remote` may bind. @returns the port, or −errno */
  allocUnbound(remote: number): number;
  /** Binds to an unbound port of `remote`; the first event arrives at once. @returns the port, or −errno */
  bindInterdomain(remote: number, remotePort: number): number;
  /** @returns 0 or −errno */
  send(port: number): number;
  /** @returns 0 or −errno */
  close(port: number): number;
  /**
   * Has `handler` called for each event on the port, after events that came in the meantime are merged into one; a
   * handler that is called looks for all the work there is. `undefined` takes the handler away. Closing does, too.
   */
  onEvent(port: number, handler: (() => void) | undefined): void;
}
