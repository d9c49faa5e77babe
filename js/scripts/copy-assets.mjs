// `tsc` writes modules only; the one style sheet is copied beside them.
import { chmodSync, copyFileSync, existsSync, writeFileSync } from "node:fs";

copyFileSync(
  new URL("../src/react/badge.css", import.meta.url),
  new URL("../dist/react/badge.css", import.meta.url),
);
// Compilers that look at imports of style sheets too find it declared.
writeFileSync(new URL("../dist/react/badge.css.d.ts", import.meta.url), "export {};\n");
const command = new URL("../dist/cli.js", import.meta.url);
if (existsSync(command)) chmodSync(command, 0o755);
