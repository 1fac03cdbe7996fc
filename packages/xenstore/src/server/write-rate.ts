import type { ServerTimer } from './timer.js';

// xenstored's limit of how fast a domain may write while others have transactions open, which its writes could make
// fail: credits, in thousandths of a write (tools/xenstore/xenstored_domain.h of Xen 4.17, WRL_*).
const WRITE = 1000;
const RATE_PER_SECOND = 200 * WRITE;
const DOMAIN_BURST = 10 * WRITE;
const GLOBAL_BURST = 1000 * WRITE;
const NEW_DOMAINS_BURST = 5 * DOMAIN_BURST;

interface Account {
  credit: number;
  /** When credit was last added. */
  at: number;
}

/** Domains earn credit with time, all together RATE_PER_SECOND. What one does not need goes to a reserve. */
export class WriteRate {
  private readonly accounts = new Map<number, Account>();
  private reserve = 0;

  /** @param resume is told of a domain that may write again */
  constructor(
    private readonly timer: ServerTimer,
    private readonly resume: (domid: number) => void,
  ) {}

  introduce(domid: number): void {
    const credit = Math.min(this.reserve + NEW_DOMAINS_BURST, DOMAIN_BURST);
    this.reserve -= credit;
    this.accounts.set(domid, { credit, at: this.timer.now() });
  }

  release(domid: number): void {
    const credit = this.accounts.get(domid)?.credit ?? 0;
    this.reserve += Math.max(0, Math.min(credit, DOMAIN_BURST - this.reserve));
    this.accounts.delete(domid);
  }

  /** A domain has written. Below nothing it has to wait. */
  charge(domid: number): void {
    const account = this.accounts.get(domid);
    if (!account) return;
    this.update(account);
    const before = account.credit;
    account.credit -= WRITE;
    if (before >= 0 && account.credit < 0) this.wait(domid, account);
  }

  /** Whether a domain has to wait. */
  exhausted(domid: number): boolean {
    const account = this.accounts.get(domid);
    if (!account) return false;
    if (account.credit < 0) this.update(account);
    return account.credit < 0;
  }

  private wait(domid: number, account: Account): void {
    const perMs = RATE_PER_SECOND / 1000 / this.accounts.size;
    this.timer.after(Math.ceil(-account.credit / perMs), () => {
      if (this.accounts.get(domid) !== account) return;
      if (this.exhausted(domid)) this.wait(domid, account);
      else this.resume(domid);
    });
  }

  private update(account: Account): void {
    const now = this.timer.now();
    account.credit += Math.floor(((now - account.at) * RATE_PER_SECOND) / 1000 / this.accounts.size);
    account.at = now;
    const loan = Math.max(0, Math.min(this.reserve, -account.credit));
    account.credit += loan;
    this.reserve -= loan;
    const surplus = Math.max(0, account.credit - DOMAIN_BURST);
    account.credit -= surplus;
    this.reserve += Math.max(0, Math.min(surplus, GLOBAL_BURST - this.reserve));
  }
}
