import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { INPUTS, isHandled } from "../src/core/machine/machine.js";
import { STATES, TIMERS } from "../src/core/machine/values.js";
import { play, type Scenario } from "./scenario.js";
import { format } from "./scenario-format.js";

const FOLDER = new URL("../../spec/scenarios/", import.meta.url);
/** `RECORD=1 npx vitest run test/scenarios.test.ts` writes what the machine does; then read the diff. */
const RECORD = process.env.RECORD === "1";

interface File {
  description: string;
  scenarios: Scenario[];
}

const files = new Map<string, File>(
  readdirSync(FOLDER)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name, JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as File]),
);
const preludes = new Map(
  (files.get("preludes.json")?.scenarios ?? []).map((scenario) => [scenario.name, scenario]),
);

for (const [name, file] of files) {
  describe(name, () => {
    for (const scenario of file.scenarios) {
      test(scenario.name, () => {
        const { outcomes } = play(scenario, preludes);
        if (RECORD) {
          scenario.steps = scenario.steps.map((step, index) => ({ ...step, ...outcomes[index]! }));
          return;
        }
        scenario.steps.forEach((step, index) => {
          const { effects, timers } = step;
          expect(outcomes[index], `step ${index}, at ${step.at}`).toEqual({ effects, timers });
        });
      });
    }
    if (RECORD) test("written", () => writeFileSync(new URL(name, FOLDER), format(file)));
  });
}

describe("the table", () => {
  test("is total: each input in each state is handled or ignored", () => {
    expect(INPUTS.filter((input) => input.startsWith("timer."))).toHaveLength(TIMERS.length);
    for (const input of INPUTS) {
      for (const state of STATES) expect(typeof isHandled(state, input)).toBe("boolean");
    }
    expect(INPUTS.length * STATES.length).toBe(39 * 8);
  });

  test("each transition that it holds is taken by a scenario", () => {
    const taken = new Set<string>();
    for (const { scenarios } of files.values()) {
      for (const scenario of scenarios) {
        for (const key of play(scenario, preludes).cells) taken.add(key);
      }
    }
    const untold = INPUTS.flatMap((input) =>
      STATES.filter((state) => isHandled(state, input)).map((state) => `${state} ${input}`),
    ).filter((key) => !taken.has(key));
    expect(untold).toEqual([]);
  });
});
