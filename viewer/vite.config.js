import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "/",
  plugins: [solid()],
  resolve: {
    alias: {
      // vtk.js pulls xmlbuilder2 for file formats that are never opened here; it wants Node's
      // `events` and `url`, which do not exist in a browser, and throws while loading.
      xmlbuilder2: here("./src/render/no-xml.ts"),
    },
  },
  worker: { format: "es" },
  build: {
    outDir: here("../src/gantry/server/_viewer"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // data: URLs would need a wider Content-Security-Policy
    chunkSizeWarningLimit: 4096,
    license: { fileName: "licenses.md" }, // of everything bundled, beside it
  },
  server: {
    proxy: {
      "/api": "http://127.0.0.1:8080",
      "/dicom-web": "http://127.0.0.1:8080",
    },
  },
});
