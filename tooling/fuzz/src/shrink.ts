import type { Program, Step } from './program.js';

interface Part {
  readonly guest: number;
  readonly vcpu: number;
  readonly step: Step;
}

const partsOf = (programs: readonly Program[]): Part[] =>
  programs.flatMap((program, guest) =>
    program.flatMap((steps, vcpu) => steps.map((step): Part => ({ guest, vcpu, step }))),
  );

function programsOf(shape: readonly Program[], parts: readonly Part[]): Program[] {
  return shape.map((program, guest) =>
    program.map((_, vcpu) =>
      parts.filter((p) => p.guest === guest && p.vcpu === vcpu).map(({ step }) => step),
    ),
  );
}

/**
 * Makes programs that fail shorter: takes steps away in halves, quarters … one by one, then operations one by one, as long
 * as they still fail. Tries at most `tries` times.
 */
export async function shrink(
  programs: readonly Program[],
  fails: (programs: readonly Program[]) => Promise<boolean>,
  tries = 150,
): Promise<readonly Program[]> {
  const budget = { left: tries };
  const attempt = (parts: readonly Part[]) => fails(programsOf(programs, parts));
  const steps = await reduce(partsOf(programs), attempt, budget);
  const single = steps.flatMap(({ step, ...where }) =>
    step.map((operation): Part => ({ ...where, step: [operation] })),
  );
  return programsOf(programs, await reduce(single, attempt, budget));
}

async function reduce(
  parts: readonly Part[],
  fails: (parts: readonly Part[]) => Promise<boolean>,
  budget: { left: number },
): Promise<readonly Part[]> {
  let kept = parts;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    // From the end: what comes after the failure goes at once.
    for (let end = kept.length; end > 0 && budget.left > 0; end -= size) {
      const fewer = [...kept.slice(0, Math.max(end - size, 0)), ...kept.slice(end)];
      budget.left--;
      if (await fails(fewer)) kept = fewer;
    }
  }
  return kept;
}
