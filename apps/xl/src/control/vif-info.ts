import type { GuestDomain, Host } from '@xenolith/host';

/** What `xenolith network-list` shows of an interface, as xl(1) finds it in xenstore; −1: nothing is there. */
export interface VifInfo {
  /** Number among the guest's interfaces. */
  id: number;
  backendId: number;
  mac: string;
  /** The guest's end, as a number of `xenbus.h`: 4 is connected. */
  state: number;
  /** Of a guest with one queue and one event channel for both directions. */
  eventChannel: number;
  txRingRef: number;
  rxRingRef: number;
  /** The backend's directory. */
  backend: string;
}

export function vifInfos({ vifs, domid }: GuestDomain, { xenstore }: Host): VifInfo[] {
  return [...vifs].map((vif) => {
    const { id, mac, backendId } = vif;
    const number = (node: string): number =>
      Number(xenstore.local.readIfExists(`/local/domain/${domid}/device/vif/${id}/${node}`) ?? -1);
    return {
      ...{ id, mac, backendId, backend: vif.backendPath(domid) },
      state: number('state'),
      eventChannel: number('event-channel'),
      txRingRef: number('tx-ring-ref'),
      rxRingRef: number('rx-ring-ref'),
    };
  });
}
