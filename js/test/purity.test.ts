/** What the linter cannot see of the floors of the house: the machine's sources, read as text. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const MACHINE = new URL("../src/core/machine/", import.meta.url);

test.each(readdirSync(MACHINE))("machine/%s is pure", (name) => {
  const source = readFileSync(new URL(name, MACHINE), "utf8").replace(
    /\/\*[\s\S]*?\*\/|\/\/.*$/gm,
    "",
  );
  expect(source.match(/Math\.random|\bawait\b|\basync\b|\bPromise\b|import\(/g)).toBeNull();
});
