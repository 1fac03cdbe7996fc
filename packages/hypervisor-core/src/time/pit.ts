/** Frequency of the PIT's input in Hz. */
const PIT_HZ = 1_193_182;
const NS_PER_SECOND = 1_000_000_000;

/** Byte order in which a counter is read and written. */
const ACCESS = { low: 1, high: 2, lowThenHigh: 3, highOfPair: 4 } as const;

interface Channel {
  /** 1 … 65536. */
  count: number;
  loadedAt: number;
  mode: number;
  bcd: number;
  gate: number;
  access: number;
  readState: number;
  writeState: number;
  writeLatch: number;
  /** An `ACCESS` value while a count is latched, else 0. */
  countLatched: number;
  latchedCount: number;
  status: number | undefined;
}

/**
 * The 8254 that Xen shows to PV guests at ports 0x42, 0x43 and (speaker and gate) 0x61: counters that run with system time
 * and raise no interrupt (xen/arch/x86/emul-i8254.c). Linux polls counter 2 to calibrate its TSC.
 */
export class Pit {
  private readonly channels: Channel[] = [0, 1, 2].map((n) => ({
    count: 0x1_0000,
    loadedAt: 0,
    mode: 0xff,
    bcd: 0,
    gate: n === 2 ? 0 : 1,
    access: 0,
    readState: 0,
    writeState: 0,
    writeLatch: 0,
    countLatched: 0,
    latchedCount: 0,
    status: undefined,
  }));
  private speaker = 0;

  /** @param now system time in nanoseconds */
  constructor(private readonly now: () => number) {}

  read(port: number): number {
    return port === 0x61 ? this.readSpeaker() : this.readCounter(port & 3);
  }

  write(port: number, value: number): void {
    if (port === 0x61) {
      this.speaker = value & 2 ? 1 : 0;
      this.setGate(this.channels[2]!, value & 1);
    } else if ((port & 3) === 3) this.control(value);
    else this.writeCounter(this.channels[port & 3]!, value);
  }

  private readSpeaker(): number {
    const channel = this.channels[2]!;
    // Bit 4 is the memory refresh clock: about 15 µs each way.
    const refresh = Math.floor(this.now() / 15_085) & 1;
    return (this.speaker << 1) | channel.gate | (this.output(channel) << 5) | (refresh << 4);
  }

  private control(value: number): void {
    const select = value >> 6;
    if (select === 3) {
      this.channels.forEach((channel, n) => {
        if (!(value & (2 << n))) return;
        if (!(value & 0x20)) this.latchCount(channel);
        if (!(value & 0x10)) this.latchStatus(channel);
      });
      return;
    }
    const channel = this.channels[select]!;
    const access = (value >> 4) & 3;
    if (access === 0) {
      this.latchCount(channel);
      return;
    }
    channel.access = channel.readState = channel.writeState = access;
    const mode = (value >> 1) & 7;
    channel.mode = mode > 5 ? mode - 4 : mode;
    channel.bcd = value & 1;
  }

  private readCounter(n: number): number {
    const channel = this.channels[n];
    if (!channel) return 0xff;
    if (channel.status !== undefined) {
      const { status } = channel;
      channel.status = undefined;
      return status;
    }
    if (channel.countLatched) {
      if (channel.countLatched === ACCESS.lowThenHigh) {
        channel.countLatched = ACCESS.high;
        return channel.latchedCount & 0xff;
      }
      const high = channel.countLatched === ACCESS.high;
      channel.countLatched = 0;
      return high ? channel.latchedCount >> 8 : channel.latchedCount & 0xff;
    }
    const count = this.value(channel);
    switch (channel.readState) {
      case ACCESS.high:
        return (count >> 8) & 0xff;
      case ACCESS.lowThenHigh:
        channel.readState = ACCESS.highOfPair;
        return count & 0xff;
      case ACCESS.highOfPair:
        channel.readState = ACCESS.lowThenHigh;
        return (count >> 8) & 0xff;
      default:
        return count & 0xff;
    }
  }

  private writeCounter(channel: Channel, value: number): void {
    switch (channel.writeState) {
      case ACCESS.high:
        this.load(channel, value << 8);
        break;
      case ACCESS.lowThenHigh:
        channel.writeLatch = value;
        channel.writeState = ACCESS.highOfPair;
        break;
      case ACCESS.highOfPair:
        this.load(channel, channel.writeLatch | (value << 8));
        channel.writeState = ACCESS.lowThenHigh;
        break;
      default:
        this.load(channel, value);
    }
  }

  private load(channel: Channel, value: number): void {
    channel.count = value || 0x1_0000;
    channel.loadedAt = this.now();
  }

  private ticks(channel: Channel): number {
    return Math.floor(((this.now() - channel.loadedAt) * PIT_HZ) / NS_PER_SECOND);
  }

  private value(channel: Channel): number {
    const ticks = this.ticks(channel);
    const { count, mode } = channel;
    if (mode === 3) return count - ((2 * ticks) % count);
    if (mode === 2 || mode > 5) return count - (ticks % count);
    return (count - (ticks % 0x1_0000)) & 0xffff;
  }

  private output(channel: Channel): number {
    const ticks = this.ticks(channel);
    const { count, mode } = channel;
    switch (mode) {
      case 1:
        return Number(ticks < count);
      case 2:
        return Number(ticks % count === 0 && ticks !== 0);
      case 3:
        return Number(ticks % count < (count + 1) >> 1);
      case 4:
      case 5:
        return Number(ticks === count);
      default:
        return Number(ticks >= count);
    }
  }

  private setGate(channel: Channel, gate: number): void {
    const restarts = channel.mode === 1 || channel.mode === 2 || channel.mode === 3 || channel.mode === 5;
    if (restarts && channel.gate < gate) channel.loadedAt = this.now();
    channel.gate = gate;
  }

  private latchCount(channel: Channel): void {
    if (channel.countLatched) return;
    channel.latchedCount = this.value(channel);
    channel.countLatched = channel.access;
  }

  private latchStatus(channel: Channel): void {
    channel.status ??=
      (this.output(channel) << 7) | (channel.access << 4) | ((channel.mode & 7) << 1) | channel.bcd;
  }
}
