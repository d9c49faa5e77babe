import { defineConfig } from "vitest/config";

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ["test/**/*.test.ts", "test/**/*.test.tsx"],
    environment: "node",
    // A rejection or an error outside a test is a failure (nothing may escape from the client).
    dangerouslyIgnoreUnhandledErrors: false,
  },
});

export default config;
