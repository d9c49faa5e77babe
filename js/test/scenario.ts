/** Runs one script of `spec/scenarios` against a machine; the format is documented there. */

import { Machine } from "../src/core/machine/machine.js";
import {
  DEFAULTS,
  type Effect,
  type Input,
  type MachineOptions,
} from "../src/core/machine/values.js";

export interface Step {
  at: number;
  random?: number;
  input: string;
  effects?: unknown[];
  timers?: Record<string, number | null>;
  [field: string]: unknown;
}

export interface Scenario {
  name: string;
  description?: string;
  given?: string;
  options?: Partial<MachineOptions>;
  steps: Step[];
}

/** What one step led to, in the form of the file. */
export interface Outcome {
  effects: Effect[];
  timers: Record<string, number | null>;
}

/**
 * The machine after a prelude and the script, what each step of the script led to, and the cells of the
 * table (state and input) that were taken.
 */
export function play(
  scenario: Scenario,
  preludes: ReadonlyMap<string, Scenario>,
): { machine: Machine; outcomes: Outcome[]; cells: Set<string> } {
  const chain = chainOf(scenario, preludes);
  const options = Object.assign({}, ...chain.map((one) => one.options)) as Partial<MachineOptions>;
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw new Error(`no option is called ${name}`);
  }
  const machine = new Machine(options);
  const due = new Map<string, number>();
  const cells = new Set<string>();
  const take = (step: Step): Outcome => {
    const input = step.input === "timer" ? `timer.${step.name}` : step.input;
    cells.add(`${machine.state} ${input}`);
    return run(machine, step, due);
  };
  for (const one of chain.slice(0, -1)) one.steps.forEach(take);
  return { machine, outcomes: scenario.steps.map(take), cells };
}

/** The preludes that lead to the scenario, then itself. */
function chainOf(scenario: Scenario, preludes: ReadonlyMap<string, Scenario>): Scenario[] {
  if (scenario.given === undefined) return [scenario];
  const prelude = preludes.get(scenario.given);
  if (prelude === undefined) throw new Error(`no prelude is called ${scenario.given}`);
  return [...chainOf(prelude, preludes), scenario];
}

function run(machine: Machine, step: Step, due: Map<string, number>): Outcome {
  const { at, random = 0.5, effects: _effects, timers: _timers, ...input } = step;
  honest(step, due);
  const all = machine.handle(input as unknown as Input, at, random);
  const timers: Record<string, number | null> = {};
  const effects: Effect[] = [];
  for (const effect of all) {
    if (effect.effect === "timer") {
      timers[effect.name] = effect.ms;
      due.set(effect.name, at + effect.ms);
    } else if (effect.effect === "cancel") {
      timers[effect.name] = null;
      due.delete(effect.name);
    } else effects.push(effect);
  }
  return { effects, timers };
}

/** A script may not fire a timer early, nor pass by one that is due. */
function honest(step: Step, due: Map<string, number>): void {
  if (step.input === "timer") {
    const at = due.get(step.name as string);
    if (at !== step.at) throw new Error(`at ${step.at}: ${step.name} is due at ${at}`);
    due.delete(step.name as string);
  }
  for (const [name, at] of due) {
    if (at < step.at) throw new Error(`at ${step.at}: the timer ${name} was due at ${at}`);
  }
}
