/** How TCP of a large frame is to be cut into segments. */
export interface Segmentation {
  protocol: 'tcp4' | 'tcp6';
  /** Largest payload of a segment, in bytes. */
  size: number;
}

/** An Ethernet frame, without its check sequence, and what need not be done to it yet. Nobody changes one. */
export interface Frame {
  readonly data: Uint8Array;
  /**
   * The checksum of TCP or UDP: `blank`, it has to be computed before the frame leaves the machine; `validated`, it is
   * known to be right; absent: unknown.
   */
  readonly checksum?: 'blank' | 'validated';
  /** The frame is larger than the network's: its checksum is blank, and it is to be cut. */
  readonly segmentation?: Segmentation;
}

/** The address of a frame's receiver is a group's. */
export const isMulticast = ({ data }: Frame): boolean => (data[0]! & 1) !== 0;

export const isBroadcast = ({ data }: Frame): boolean => {
  for (let i = 0; i < 6; i++) if (data[i] !== 0xff) return false;
  return true;
};

/** `00:16:3e:00:00:01` of six bytes, for tables and messages. */
export const formatMac = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
