import type { Domain } from '../domain/domain.js';
import type { Vcpu } from '../domain/vcpu.js';
import type { Scheduler } from './scheduler.js';
import { WaitQueue } from './wait-queue.js';

/** Time between two accountings: Xen's default of 30 ms. */
const PERIOD = 30_000_000;
const SLICE = 3_000_000;
/** Nobody saves more than a period's worth, or owes more. */
const MOST = PERIOD;

interface Account {
  /** Nanoseconds of processor time that it may still use; below 0: what it used beyond its share. */
  credit: number;
  /** It just woke with credit left, and goes before all that did not. */
  boosted: boolean;
  /** It yielded, and nobody else has used a slice since. */
  yielded: boolean;
}

/**
 * Shares of the processor by weight, as Xen's credit scheduler gives them: a vCPU of a domain with twice the weight gets
 * twice the time while both want it, and what one does not want the others get. A domain's `cap`, in percent of a
 * physical processor, bounds it also when nobody else wants to run; 0 is no cap.
 *
 * Running costs credit. Every 30 ms the time that all used is handed out again as credit, by weight, to those who have
 * not saved up to the limit. The vCPU with the most credit runs. One that wakes with credit left runs at once, so that
 * guests which mostly wait answer quickly beside guests which compute.
 */
export class CreditScheduler implements Scheduler {
  private readonly queue = new WaitQueue();
  private readonly accounts = new Map<Vcpu, Account>();
  /** What each domain with a cap used of its allowance. */
  private readonly spent = new Map<Domain, number>();
  /** Time used by all since the last accounting. */
  private used = 0;
  private accounted = 0;

  wake(vcpu: Vcpu): boolean {
    if (!this.queue.append(vcpu)) return false;
    const account = this.account(vcpu);
    account.boosted = account.credit >= 0;
    return account.boosted && this.allowance(vcpu.domain) > 0;
  }

  sleep(vcpu: Vcpu): void {
    this.queue.take(vcpu);
  }

  pick(now: number): Vcpu | undefined {
    if (now - this.accounted >= PERIOD) this.settle(now);
    const ready = this.queue.vcpus.filter((vcpu) => this.allowance(vcpu.domain) > 0);
    const eager = ready.filter((vcpu) => !this.account(vcpu).yielded);
    let best: Vcpu | undefined;
    for (const vcpu of eager.length > 0 ? eager : ready) {
      if (best === undefined || goesBefore(this.account(vcpu), this.account(best))) best = vcpu;
    }
    if (best) this.queue.take(best);
    return best;
  }

  sliceNs(vcpu: Vcpu): number {
    return Math.min(SLICE, Math.max(this.allowance(vcpu.domain), 1));
  }

  ran(vcpu: Vcpu, ns: number, yielded: boolean): void {
    const account = this.account(vcpu);
    account.credit -= ns;
    account.boosted = false;
    this.used += ns;
    const { domain } = vcpu;
    if (domain.cap > 0) this.spent.set(domain, (this.spent.get(domain) ?? 0) + ns);
    if (yielded) account.yielded = true;
    else for (const each of this.accounts.values()) each.yielded = false;
    if (vcpu.runnable) this.queue.append(vcpu);
  }

  remove(vcpu: Vcpu): void {
    this.queue.take(vcpu);
    this.accounts.delete(vcpu);
    this.spent.delete(vcpu.domain);
  }

  get waiting(): boolean {
    return this.queue.vcpus.length > 0;
  }

  get heldUntil(): number | undefined {
    return this.waiting ? this.accounted + PERIOD : undefined;
  }

  private account(vcpu: Vcpu): Account {
    let account = this.accounts.get(vcpu);
    if (!account) {
      account = { credit: 0, boosted: false, yielded: false };
      this.accounts.set(vcpu, account);
    }
    return account;
  }

  /** Nanoseconds that the domain's cap leaves it until the next accounting. */
  private allowance(domain: Domain): number {
    if (domain.cap === 0) return Number.POSITIVE_INFINITY;
    return (domain.cap * PERIOD) / 100 - (this.spent.get(domain) ?? 0);
  }

  private settle(now: number): void {
    const periods = Math.floor((now - this.accounted) / PERIOD);
    this.accounted += periods * PERIOD;
    this.handOut(this.used);
    this.used = 0;
    for (const account of this.accounts.values()) account.credit = Math.max(account.credit, -MOST);
    for (const [domain, ns] of this.spent) {
      const rest = ns - (periods * domain.cap * PERIOD) / 100;
      if (rest > 0) this.spent.set(domain, rest);
      else this.spent.delete(domain);
    }
  }

  /** Hands out credit by weight; what does not fit into a full account goes to the others. */
  private handOut(total: number): void {
    let open = [...this.accounts];
    for (let left = total; left > 0 && open.length > 0; ) {
      const weights = open.reduce((sum, [vcpu]) => sum + vcpu.domain.weight, 0);
      let given = 0;
      const stillOpen = open.filter(([vcpu, account]) => {
        const share = (left * vcpu.domain.weight) / weights;
        const fits = Math.min(share, MOST - account.credit);
        account.credit += fits;
        given += fits;
        return fits === share;
      });
      if (stillOpen.length === open.length) return;
      left -= given;
      open = stillOpen;
    }
  }
}

const goesBefore = (a: Account, b: Account): boolean =>
  a.boosted !== b.boosted ? a.boosted : a.credit > b.credit;
