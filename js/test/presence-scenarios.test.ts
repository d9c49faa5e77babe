/** The presence machine follows the scripts of spec/presence, which its Python twin follows too. */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { PresenceMachine } from "../src/presence/machine.js";
import type { Effect, Input, RoomView } from "../src/presence/values.js";

type Step = Input & {
  at: number;
  effects?: Effect[];
  view?: Record<string, RoomView | null>;
};
interface Scenario {
  name: string;
  description?: string;
  steps: Step[];
}

const FILE = fileURLToPath(new URL("../../spec/presence/scenarios.json", import.meta.url));
const file = JSON.parse(readFileSync(FILE, "utf8")) as {
  description: string;
  scenarios: Scenario[];
};
const TOPICS = ["gift-list:1", "gift-list:2"];

function play({ steps }: Scenario): { effects: Effect[]; view: Record<string, RoomView> }[] {
  const machine = new PresenceMachine();
  let due: number | null = null;
  return steps.map(({ at, effects: _effects, view: _view, ...input }) => {
    if (input.input === "timer") {
      expect(due, "the timer is not due").toBe(at);
      due = null;
    }
    expect(due === null || due >= at, `the timer was due before ${at}`).toBe(true);
    const effects = machine.handle(input as Input, at);
    for (const effect of effects) if (effect.effect === "timer") due = at + effect.ms;
    const view: [string, RoomView][] = [];
    for (const topic of TOPICS) {
      const room = machine.view(topic);
      if (room !== null) view.push([topic, room]);
    }
    return { effects, view: Object.fromEntries(view) };
  });
}

if (process.env.RECORD === "1") {
  const lines = file.scenarios.map((scenario) => {
    const outcomes = play(scenario);
    const steps = scenario.steps.map((step, index) => ({ ...step, ...outcomes[index] }));
    const { name, description } = scenario;
    const head = JSON.stringify(description === undefined ? { name } : { name, description });
    const rows = steps.map((step) => `        ${JSON.stringify(step)}`).join(",\n");
    return `    ${head.slice(0, -1)}, "steps": [\n${rows}\n    ]}`;
  });
  const { description } = file;
  writeFileSync(
    FILE,
    `{\n  "description": ${JSON.stringify(description)},\n  "scenarios": [\n${lines.join(",\n")}\n  ]\n}\n`,
  );
}

test.each(file.scenarios)("$name", (scenario) => {
  const outcomes = play(scenario);
  scenario.steps.forEach((step, index) => {
    const where = `step ${index}, at ${step.at}`;
    expect(outcomes[index]?.effects, where).toEqual(step.effects);
    expect(outcomes[index]?.view, where).toEqual(step.view);
  });
});

test("there are scenarios, and every input and effect stands in one", () => {
  const steps = file.scenarios.flatMap(({ steps }) => steps);
  expect(file.scenarios.length).toBeGreaterThan(20);
  expect(new Set(steps.map(({ input }) => input)).size).toBe(8);
  expect(new Set(steps.flatMap(({ effects }) => effects ?? []).map((e) => e.effect)).size).toBe(4);
});
