// A real `tidings serve` for the tests of the back end's side.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const TIDINGS = fileURLToPath(new URL("../../.venv/bin/tidings", import.meta.url));
export const HAS_TIDINGS = existsSync(TIDINGS);
export const SECRET = "a-secret-for-tests-of-at-least-32-bytes";
export const API_KEY = "an-api-key-for-tests-of-at-least-32-bytes";

export interface Serving {
  readonly url: string;
  stop(): Promise<void>;
}

/** Start it on a free port, and return when it is ready. */
export async function serve(environment: Record<string, string> = {}): Promise<Serving> {
  const folder = mkdtempSync(join(tmpdir(), "tidings-"));
  const foreign = Object.keys(process.env).filter((name) => name.startsWith("TIDINGS_"));
  const kept = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !foreign.includes(name)),
  );
  const env = {
    ...kept,
    TIDINGS_SECRET: SECRET,
    TIDINGS_API_KEYS: `${API_KEY},bound-key@t-1`,
    ...environment,
  };
  const server = spawn(TIDINGS, ["serve", "--port", "0"], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(server, "exit");
  const lines = createInterface({ input: server.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      const found = /Ready on (\S+) /.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    ended.then(() => reject(new Error("the server ended")), reject);
  });
  return {
    url,
    async stop() {
      server.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
