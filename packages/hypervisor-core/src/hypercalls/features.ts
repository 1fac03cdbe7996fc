import { errnoName } from '@xenolith/xen-abi';
import type { Operation, Refusal, RefusedTo } from '../operations.js';
import { HYPERCALLS, type Hypercall } from './table.js';

/** One hypercall without sub-operations, or one sub-operation, as an unprivileged PV domain finds it. */
export interface Feature {
  hypercall: string;
  /** RAX. */
  number: number;
  /** With its prefix: `VCPUOP_up`. */
  operation?: string;
  operationNumber?: number;
  /** C type of the structure that its argument points to. */
  argument?: string;
  /** `implemented`, or the name of the errno that a well-formed call gets. */
  answer: string;
  /** Whom that refuses: a domU, or everybody because there is no such thing. */
  refusedTo?: RefusedTo;
  /** May stop in the middle and have the guest make the call again with what is left. */
  preemptible: boolean;
  note?: string;
}

interface Described {
  refusal?: Refusal;
  preemptible?: boolean;
  note?: string;
}

const answerOf = ({ refusal, preemptible, note }: Described): Omit<Feature, 'hypercall' | 'number'> => ({
  answer: refusal ? errnoName(refusal.errno) : 'implemented',
  ...(refusal && { refusedTo: refusal.to }),
  preemptible: preemptible ?? false,
  ...(note && { note }),
});

function operationFeature(
  { name, preemptible, note }: Hypercall,
  number: number,
  operation: Operation<never>,
): Feature {
  return {
    hypercall: name,
    number,
    operation: operation.name,
    operationNumber: operation.number,
    ...(operation.argument && { argument: operation.argument.cType }),
    ...answerOf({ ...(note && { note }), ...(preemptible && { preemptible }), ...operation }),
  };
}

/** Everything in the table of hypercalls, by number. */
export function listFeatures(): Feature[] {
  return [...HYPERCALLS]
    .sort(([a], [b]) => a - b)
    .flatMap(([number, hypercall]) => {
      if (!hypercall.operations) return [{ hypercall: hypercall.name, number, ...answerOf(hypercall) }];
      const rows = [...hypercall.operations.values()].sort((a, b) => a.number - b.number);
      return rows.map((row) => operationFeature(hypercall, number, row));
    });
}

function remark({ answer, refusedTo, preemptible, note }: Feature): string {
  const words = [];
  if (answer !== 'implemented') words.push(refusedTo === 'domU' ? 'not for a domU' : 'not in this Xen');
  if (preemptible) words.push('preemptible');
  if (note) words.push(note);
  return words.join('; ');
}

/** The list as a table in Markdown. */
export function featureTable(features: readonly Feature[] = listFeatures()): string {
  const lines = features.map((feature) => {
    const { hypercall, number, operation, operationNumber, answer } = feature;
    const sub = operation ? `\`${operation}\` ${operationNumber}` : '';
    return `| \`${hypercall}\` ${number} | ${sub} | ${answer} | ${remark(feature)} |`;
  });
  return ['| hypercall | sub-operation | answer | |', '| --- | --- | --- | --- |', ...lines, ''].join('\n');
}

/** The list as columns of plain text. */
export function featureText(features: readonly Feature[] = listFeatures()): string {
  const rows = features.map((feature) => {
    const { hypercall, number, operation, operationNumber, answer } = feature;
    const sub = operation ? `${operation} ${operationNumber}` : '';
    return [`${hypercall} ${number}`, sub, answer, remark(feature)] as const;
  });
  const width = (column: 0 | 1 | 2) => Math.max(...rows.map((row) => row[column].length)) + 2;
  const widths = [width(0), width(1), width(2)] as const;
  return rows
    .map(([name, sub, answer, rest]) =>
      `${name.padEnd(widths[0])}${sub.padEnd(widths[1])}${answer.padEnd(widths[2])}${rest}`.trimEnd(),
    )
    .join('\n')
    .concat('\n');
}
