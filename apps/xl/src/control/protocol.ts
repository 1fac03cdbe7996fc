import { BadInputError } from '@xenolith/host-interface';

/**
 * What another shell asks a running host: one JSON object a line, answered by one. `domain` is a name or a number.
 * `console` makes a stream of the connection: lines with `output` from the host, and `input` requests to it.
 */
export type ControlRequest =
  | { readonly do: 'list' }
  | { readonly do: DomainOperation; readonly domain: string }
  | { readonly do: 'vcpu-set'; readonly domain: string; readonly count: number }
  | { readonly do: 'mem-set'; readonly domain: string; readonly mib: number }
  | { readonly do: 'block-list'; readonly domain: string }
  /** A disk as xl-disk-configuration(5) writes it; a relative path in it begins at `directory`. */
  | {
      readonly do: 'block-attach';
      readonly domain: string;
      readonly disk: string;
      readonly directory: string;
    }
  | { readonly do: 'block-detach'; readonly domain: string; readonly vdev: string; readonly force: boolean }
  /** The disk's file has another size now; answered by it, `bytes`. */
  | { readonly do: 'block-resize'; readonly domain: string; readonly vdev: string }
  /** Another medium for a drive; an empty target: none. */
  | {
      readonly do: 'cd-insert';
      readonly domain: string;
      readonly vdev: string;
      readonly target: string;
      readonly directory: string;
    }
  | { readonly do: 'network-list'; readonly domain: string }
  /** An interface as xl-network-configuration(5) writes it; a relative path in it begins at `directory`. */
  | {
      readonly do: 'network-attach';
      readonly domain: string;
      readonly vif: string;
      readonly directory: string;
    }
  /** `vif`: its number or its address. */
  | { readonly do: 'network-detach'; readonly domain: string; readonly vif: string; readonly force: boolean }
  /** A configuration file's text; relative paths in it begin at `directory`. */
  | {
      readonly do: 'create';
      readonly text: string;
      readonly file: string;
      readonly directory: string;
      readonly paused: boolean;
    }
  /** Console input, base64. */
  | { readonly do: 'input'; readonly data: string };

export const DOMAIN_OPERATIONS = ['pause', 'unpause', 'destroy', 'shutdown', 'reboot', 'console'] as const;
export type DomainOperation = (typeof DOMAIN_OPERATIONS)[number];

/** `output`: console output, base64; `ended`: how the guest ended that the console belonged to. */
export type ControlAnswer =
  | { readonly ok: unknown }
  | { readonly error: string }
  | { readonly output: string }
  | { readonly ended: string };

/** A line is no longer than this, in either direction. */
export const MAX_LINE = 4 << 20;

type Fields = Record<string, unknown>;

/** @throws BadInputError unless the line is a request */
export function parseRequest(line: string): ControlRequest {
  const fields = parseObject(line);
  const text = (key: string): string => {
    const value = fields[key];
    if (typeof value !== 'string') throw new BadInputError(`"${key}" should be a string.`);
    return value;
  };
  const number = (key: string): number => {
    const value = fields[key];
    if (typeof value !== 'number') throw new BadInputError(`"${key}" should be a number.`);
    return value;
  };
  const operation = text('do');
  const ofDomain = DOMAIN_OPERATIONS.find((name) => name === operation);
  if (ofDomain) return { do: ofDomain, domain: text('domain') };
  switch (operation) {
    case 'list':
      return { do: 'list' };
    case 'vcpu-set':
      return { do: 'vcpu-set', domain: text('domain'), count: number('count') };
    case 'mem-set':
      return { do: 'mem-set', domain: text('domain'), mib: number('mib') };
    case 'block-list':
      return { do: 'block-list', domain: text('domain') };
    case 'block-attach':
      return { do: 'block-attach', domain: text('domain'), disk: text('disk'), directory: text('directory') };
    case 'block-detach':
      return { do: 'block-detach', domain: text('domain'), vdev: text('vdev'), force: fields.force === true };
    case 'block-resize':
      return { do: 'block-resize', domain: text('domain'), vdev: text('vdev') };
    case 'cd-insert':
      return {
        do: 'cd-insert',
        ...{ domain: text('domain'), vdev: text('vdev') },
        ...{ target: text('target'), directory: text('directory') },
      };
    case 'network-list':
      return { do: 'network-list', domain: text('domain') };
    case 'network-attach':
      return { do: 'network-attach', domain: text('domain'), vif: text('vif'), directory: text('directory') };
    case 'network-detach':
      return { do: 'network-detach', domain: text('domain'), vif: text('vif'), force: fields.force === true };
    case 'create':
      return {
        do: 'create',
        text: text('text'),
        file: text('file'),
        directory: text('directory'),
        paused: fields.paused === true,
      };
    case 'input':
      return { do: 'input', data: text('data') };
    default:
      throw new BadInputError(`There is no request "${operation.slice(0, 40)}".`);
  }
}

/** @throws BadInputError unless the line is an answer */
export function parseAnswer(line: string): ControlAnswer {
  const fields = parseObject(line);
  for (const key of ['error', 'output', 'ended'])
    if (typeof fields[key] === 'string') return { [key]: fields[key] } as unknown as ControlAnswer;
  if ('ok' in fields) return { ok: fields.ok };
  throw new BadInputError('The host gave an answer that means nothing.');
}

function parseObject(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new BadInputError('This is no JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BadInputError('This is no JSON object.');
  return value as Fields;
}
