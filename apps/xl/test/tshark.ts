import { execFileSync } from 'node:child_process';

/** Whether there is a tshark; in CI there has to be. */
export const hasTshark =
  process.env.CI === 'true' ||
  (() => {
    try {
      execFileSync('tshark', ['--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  })();

/** By default it believes checksums. */
const CHECKED = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
/** What a test wants to know is in the headers. */
const QUICK = ['-o', 'tcp.desegment_tcp_streams:FALSE', '-o', 'tcp.analyze_sequence_numbers:FALSE'];
const BAD = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'].map((protocol) => `${protocol}.checksum.status == "Bad"`);

/** What tshark thinks of a capture, in numbers of frames. */
export interface Opinion {
  frames: number;
  /** Frames whose checksum of TCP it has computed itself and found right. */
  good: number;
  /** Frames with any checksum that is wrong. */
  bad: number;
  malformed: number;
}

/**
 * Has tshark take a capture apart.
 * @param file a pcapng file's path
 * @param opaque ports of TCP whose payload it is not to look into: random bytes may look like anything, malformed
 */
export function tsharkOpinion(file: string, opaque: readonly number[] = []): Opinion {
  const filters = ['frame', 'tcp.checksum.status == "Good"', BAD.join(' || '), '_ws.malformed'];
  const statistics = `io,stat,0,${filters.join(',')}`;
  const closed = opaque.flatMap((port) => ['-d', `tcp.port==${port},data`]);
  const text = execFileSync('tshark', ['-r', file, '-q', ...CHECKED, ...QUICK, ...closed, '-z', statistics], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // One row: | 0.0 <> 12.3 | frames | bytes | frames | bytes | …
  const row = text.split('\n').find((line) => line.includes('<>') && /\d\s*\|\s*\d/.test(line));
  if (row === undefined) throw new Error(`tshark says no numbers: ${text}`);
  const [frames, , good, , bad, , malformed] = row.split('|').slice(2).map(Number);
  return { frames: frames!, good: good!, bad: bad!, malformed: malformed! };
}
