/** How much a server holds. */
export interface ServerStatistics {
  connections: number;
  nodes: number;
  watches: number;
  /** Open ones. */
  transactions: number;
}
