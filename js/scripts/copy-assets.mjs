// `tsc` writes modules only; the one style sheet is copied beside them.
import { chmodSync, copyFileSync, existsSync } from "node:fs";

copyFileSync(
  new URL("../src/react/badge.css", import.meta.url),
  new URL("../dist/react/badge.css", import.meta.url),
);
const command = new URL("../dist/cli.js", import.meta.url);
if (existsSync(command)) chmodSync(command, 0o755);
