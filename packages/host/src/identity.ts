import { BadInputError, type HostInputs } from '@xenolith/host-interface';
import { formatUuid, parseUuid, randomUuid } from './uuid.js';

export interface Identity {
  readonly name: string;
  readonly uuid: string;
}

const MAX_NAME = 255;

/** A name and a UUID for a new domain beside those that are there. @throws BadInputError if what is wanted cannot be had */
export function chooseIdentity(
  wanted: { readonly name?: string; readonly uuid?: string },
  others: readonly (Identity & { readonly domid: number })[],
  inputs: HostInputs,
): Identity {
  const name = wanted.name ?? freeName('guest', others);
  checkName(name);
  const uuid = formatUuid(wanted.uuid === undefined ? randomUuid(inputs) : parseUuid(wanted.uuid));
  for (const other of others) {
    const { domid } = other;
    if (other.name === name) throw new BadInputError(`There is a domain "${name}" already: number ${domid}.`);
    if (other.uuid === uuid)
      throw new BadInputError(`The domain "${other.name}", number ${domid}, has the UUID ${uuid} already.`);
  }
  return { name, uuid };
}

function checkName(name: string): void {
  if (name.length === 0 || name.length > MAX_NAME || /\p{Cc}/u.test(name))
    throw new BadInputError(
      `The name of a domain has 1 to ${MAX_NAME} characters that can be printed, unlike ${JSON.stringify(name.slice(0, 40))}.`,
    );
  if (/^\d+$/.test(name))
    throw new BadInputError(`"${name}" would be taken for a domain's number: give it a name with a letter.`);
  if (name === 'Domain-0') throw new BadInputError('"Domain-0" is the name of domain 0.');
}

/** The name itself, or with the first number behind it that makes it unique. */
export function freeName(name: string, others: readonly { readonly name: string }[]): string {
  const taken = new Set(others.map((other) => other.name));
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name}-${n}`;
  return free;
}
