// Bundles the tests of rooms that know no page, so that Node's own runner can run them.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const tests = readdirSync(here("./tests")).filter((name) => name.endsWith(".test.ts"));

export default defineConfig({
  build: {
    ssr: true,
    outDir: here("./build"),
    emptyOutDir: true,
    target: "node20",
    minify: false,
    rollupOptions: {
      input: Object.fromEntries(tests.map((name) => [name.replace(".ts", ""), here(`./tests/${name}`)])),
    },
  },
  logLevel: "warn",
});
