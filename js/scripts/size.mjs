// The size of each entry as a page gets it first: bundled, minified, gzip -9, frameworks left out, and without the
// chunks that only some pages load, but for those that an entry names in `all`. Fails above a budget.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const KB = 1024;
const ENTRIES = [
  {
    name: "core (WebSocket)",
    code: 'export { connect } from "./src/index.ts"',
    budget: 13.5 * KB,
  },
  {
    name: "core (all transports)",
    code: 'export { connect } from "./src/index.ts"',
    budget: 17 * KB,
    all: ["sse", "poll"],
  },
  {
    name: "core (WebSocket, one connection for all tabs)",
    code: 'export { connect } from "./src/index.ts"',
    budget: 20 * KB,
    all: ["shared"],
  },
  { name: "react", code: 'export * from "./src/react/index.ts"', budget: 16 * KB },
  {
    name: "react-query (a query and a mutation)",
    code: 'export { REFETCH, useTopicMutation, useTopicQuery } from "./src/react-query/index.ts"',
    budget: 20.75 * KB,
  },
  {
    name: "react-query (everything)",
    code: 'export * from "./src/react-query/index.ts"',
    budget: 23.5 * KB,
  },
  { name: "swr", code: 'export * from "./src/swr/index.ts"', budget: 23 * KB },
  {
    name: "status element (with the client)",
    code: 'export * from "./src/index.ts"; export * from "./src/elements/index.ts"',
    budget: 17.5 * KB,
  },
  { name: "vue", code: 'export * from "./src/vue/index.ts"', budget: 16 * KB },
  { name: "vue-query", code: 'export * from "./src/vue-query/index.ts"', budget: 23.5 * KB },
  {
    name: "store (applyEvent alone)",
    code: 'export { applyEvent } from "./src/store/index.ts"',
    budget: 1 * KB,
  },
  { name: "store", code: 'export * from "./src/store/index.ts"', budget: 10 * KB },
  { name: "svelte", code: 'export * from "./src/svelte/index.ts"', budget: 24 * KB },
];

let failed = false;
for (const { name, code, budget, all = [] } of ENTRIES) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: new URL("..", import.meta.url).pathname, loader: "ts" },
    bundle: true,
    splitting: true,
    outdir: "out",
    write: false,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["react", "react-dom", "@tanstack/*", "swr", "vue", "svelte"],
    define: { "process.env.NODE_ENV": '"production"' },
  });
  // The entry, and what it imports at once; the dynamic imports are the chunks that it does not.
  const first = new Map(outputFiles.map((file) => [file.path.split("/").at(-1), file]));
  const isWanted = (file) =>
    file === "stdin.js" || all.some((chunk) => file.startsWith(`${chunk}-`));
  const wanted = new Set([...first.keys()].filter(isWanted));
  for (const file of wanted) {
    for (const [, name] of first.get(file).text.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g))
      wanted.add(name);
  }
  const minified = Buffer.concat([...wanted].map((file) => first.get(file).contents));
  const size = gzipSync(minified, { level: 9 }).length;
  const verdict = size <= budget ? "ok" : "TOO LARGE";
  failed ||= size > budget;
  const kb = (bytes) => `${(bytes / KB).toFixed(2)} KB`;
  console.log(
    `${name}: ${kb(size)} gzip, ${kb(minified.length)} minified (budget ${kb(budget)}) ${verdict}`,
  );
}
process.exit(failed ? 1 : 0);
