import { describe, expect, it } from 'vitest';
import { fuzz } from '../src/campaign.js';
import { generate } from '../src/generate.js';
import { Machine } from '../src/machine.js';

const STEPS = 200_000;
/** It takes some two minutes of a processor that has nothing else to do. */
const PATIENCE_MS = 1_200_000;

describe('fuzzing from inside guests', () => {
  it(`${STEPS} steps leave the hypervisor whole, and nobody else disturbed`, {
    timeout: PATIENCE_MS,
  }, async () => {
    const { steps, guests, finding, report } = await fuzz({ seed: 1, steps: 500, until: (n) => n >= STEPS });
    expect(finding, report).toBeUndefined();
    expect(steps).toBeGreaterThanOrEqual(STEPS);
    // A guest that ends too early time after time would test little.
    expect(steps / guests, report).toBeGreaterThan(150);
  });

  it('with hypercalls that stop wherever they can', { timeout: PATIENCE_MS }, async () => {
    const { finding, report } = await fuzz({
      seed: 2,
      steps: 500,
      workLimit: 0,
      until: (n) => n >= STEPS / 10,
    });
    expect(finding, report).toBeUndefined();
  });

  it('the same seed does the same', async () => {
    const once = async () => {
      const machine = await Machine.create();
      const outcome = await machine.run(generate(4, 300), generate(5, 300));
      const { retired, clock } = machine.host.hypervisor;
      return { outcome, retired, now: clock.now };
    };
    expect(await once()).toEqual(await once());
  });

  it('finds what is wrong, and shows it with a short program', async () => {
    const { finding, report } = await fuzz({
      seed: 7,
      steps: 200,
      until: (steps) => steps > 50_000,
      prepare: ({ host }) => {
        const { grants } = host.hypervisor;
        // A fault of the kind that must not be: a reference that nobody gives back.
        const { map } = grants;
        grants.map = function leak(...args) {
          const answer = map.apply(grants, args);
          if (answer.status === 0)
            host.hypervisor.memory.frames.getPage(Number(answer.devBusAddr >> 12n), args[0]);
          return answer;
        };
      },
    });
    expect(finding?.message).toContain('Frames are miscounted');
    const program = report.slice(report.indexOf('Program 0'));
    expect(program.split('\n').length, report).toBeLessThan(20);
    expect(program).toContain('call 0x14');
  });
});
