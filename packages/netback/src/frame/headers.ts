/** Where the headers of a frame with TCP or UDP are; offsets are bytes from the frame's start. */
export interface Headers {
  version: 4 | 6;
  protocol: 'tcp' | 'udp';
  /** Of the IP header. */
  ip: number;
  /** Of the TCP or UDP header. */
  transport: number;
  /** Of the payload behind it. */
  payload: number;
  /** Where the IP packet ends: frames may be padded. */
  end: number;
}

/** Where the IP packet of a frame is. A fragment has no transport that could be understood. */
export interface IpHeader {
  version: 4 | 6;
  ip: number;
  /** Of what is behind the IP header and its extensions. */
  transport: number;
  /** Number of the protocol there; −1: a fragment. */
  protocol: number;
  end: number;
}

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPES_VLAN = [0x8100, 0x88a8];
const TCP = 6;
const UDP = 17;
/** Headers of IPv6 that may stand before the transport's: hop by hop, routing, destination. */
const EXTENSIONS = [0, 43, 60];
const FRAGMENT = 44;

/** Finds the IP header of a frame. @returns undefined if it has none that is whole */
export function findIp(data: Uint8Array): IpHeader | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let at = 12;
  while (at + 4 <= data.length && at < 20 && ETHERTYPES_VLAN.includes(view.getUint16(at))) at += 4;
  const ip = at + 2;
  if (ip + 20 > data.length) return undefined;
  const type = view.getUint16(at);
  if (type === ETHERTYPE_IPV4 && data[ip]! >> 4 === 4) return findIpv4(data, view, ip);
  if (type === ETHERTYPE_IPV6 && data[ip]! >> 4 === 6 && ip + 40 <= data.length)
    return findIpv6(data, view, ip);
  return undefined;
}

function findIpv4(data: Uint8Array, view: DataView, ip: number): IpHeader | undefined {
  const transport = ip + (data[ip]! & 15) * 4;
  const end = ip + view.getUint16(ip + 2);
  if (transport < ip + 20 || end > data.length || transport > end) return undefined;
  const isFragment = (view.getUint16(ip + 6) & 0x3fff) !== 0;
  return { version: 4, ip, transport, protocol: isFragment ? -1 : data[ip + 9]!, end };
}

function findIpv6(data: Uint8Array, view: DataView, ip: number): IpHeader | undefined {
  const end = ip + 40 + view.getUint16(ip + 4);
  if (end > data.length) return undefined;
  let protocol = data[ip + 6]!;
  let transport = ip + 40;
  while (EXTENSIONS.includes(protocol)) {
    if (transport + 8 > end) return undefined;
    protocol = data[transport]!;
    transport += (data[transport + 1]! + 1) * 8;
  }
  if (transport > end) return undefined;
  return { version: 6, ip, transport, protocol: protocol === FRAGMENT ? -1 : protocol, end };
}

/** Finds the headers of a frame's TCP or UDP. @returns undefined if there is none that is whole */
export function findHeaders(data: Uint8Array): Headers | undefined {
  const found = findIp(data);
  if (!found) return undefined;
  const { version, ip, transport, end } = found;
  if (found.protocol === TCP) {
    if (transport + 20 > end) return undefined;
    const payload = transport + (data[transport + 12]! >> 4) * 4;
    if (payload < transport + 20 || payload > end) return undefined;
    return { version, protocol: 'tcp', ip, transport, payload, end };
  }
  if (found.protocol !== UDP || transport + 8 > end) return undefined;
  return { version, protocol: 'udp', ip, transport, payload: transport + 8, end };
}
