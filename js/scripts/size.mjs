// The size of each entry as a page gets it: bundled, minified, gzip -9, frameworks left out. Fails above a budget.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const KB = 1024;
const ENTRIES = [
  { name: "core (WebSocket)", code: 'export { connect } from "./src/index.ts"', budget: 11 * KB },
  { name: "react", code: 'export * from "./src/react/index.ts"', budget: 13.5 * KB },
  { name: "react-query", code: 'export * from "./src/react-query/index.ts"', budget: 15 * KB },
];

let failed = false;
for (const { name, code, budget } of ENTRIES) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: new URL("..", import.meta.url).pathname, loader: "ts" },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["react", "react-dom", "@tanstack/*"],
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const minified = outputFiles[0].contents;
  const size = gzipSync(minified, { level: 9 }).length;
  const verdict = size <= budget ? "ok" : "TOO LARGE";
  failed ||= size > budget;
  const kb = (bytes) => `${(bytes / KB).toFixed(2)} KB`;
  console.log(
    `${name}: ${kb(size)} gzip, ${kb(minified.length)} minified (budget ${kb(budget)}) ${verdict}`,
  );
}
process.exit(failed ? 1 : 0);
