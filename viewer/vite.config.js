import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Tells the service worker which files the program has, codecs with them: files on the device are read without a
 * network too. The largest codec, which hardly any file needs, and letters of other scripts come when used.
 */
const programFiles = {
  name: "program-files",
  generateBundle: {
    order: "post", // before, there are chunks of styles alone, which are taken out again
    handler(_, bundle) {
      const names = Object.keys(bundle).filter((name) => /^assets\/(?!jpegxl).+\.(?:js|css|wasm)$|-latin-wght.+\.woff2$/.test(name));
      const version = createHash("sha256").update(names.sort().join()).digest("hex").slice(0, 12);
      const worker = bundle["shell-worker.js"];
      worker.code = `const PROGRAM_FILES = ${JSON.stringify(names.map((name) => `/${name}`))};\n`
        + `const PROGRAM_VERSION = "${version}";\n${worker.code}`;
    },
  },
};

/** Icons without the frame that is the same in each of them (`ui/icons.tsx` has it); their licence stands in licenses.md. */
const plainIcons = {
  name: "plain-icons",
  transform(code, id) {
    if (!/lucide-static\/icons\/.+\.svg\?raw$/.test(id)) return undefined;
    const svg = JSON.parse(code.slice(code.indexOf('"'), code.lastIndexOf('"') + 1));
    const plain = svg
      .replace(/<!--.*?-->/s, "")
      .replace(/^\s*<svg[^>]*>|<\/svg>\s*$/g, "")
      .replace(/\s+/g, " ")
      .replaceAll("> <", "><")
      .trim();
    return { code: `export default ${JSON.stringify(plain)}`, map: null };
  },
};

/**
 * vtk.js lets go of the texture of an image whether there is one or not. Viewports share a context here, which
 * prepares all of them whenever one is drawn: an image that the processor paints (`render/painter.ts`) has none.
 */
const absentTextures = {
  name: "absent-textures",
  transform(code, id) {
    if (!/vtk\.js\/Rendering\/OpenGL\/ImageMapper\.js$/.test(id)) return undefined;
    const mended = code.replace("model.openGLTexture.release", "model.openGLTexture?.release");
    if (mended === code) throw new Error("vtk.js has changed: see whether it still lets go of absent textures");
    return { code: mended, map: null };
  },
};

/**
 * The decoder of JPEG Extended raises the values of 12 bits by 15 too much: it scales the middle of 8 bits, 128, by
 * 4095 / 255, where ITU-T T.81 A.3.1 adds 2048.
 */
const middleOfTwelveBits = {
  name: "middle-of-twelve-bits",
  transform(code, id) {
    if (!/dicom-image-loader\/dist\/esm\/codecs\/jpeg\.js$/.test(id)) return undefined;
    const mended = code.replace(
      /q =\s*q <= -2056 \/ component\.bitConversion\s*\? 0\s*: q >= 2024 .+?>> 4;/s,
      "const levels = 1 + Math.round(255 / component.bitConversion);\n"
        + "q = Math.max(0, Math.min(levels - 1, (q + 8 * levels + 8) >> 4));",
    );
    if (mended === code) throw new Error("the decoder of JPEG Extended has changed: see whether its values are right by now");
    return { code: mended, map: null };
  },
};

/**
 * The decoder of HTJ2K takes the lines of colour components in turns; where a stream transforms no colours they come
 * component by component. And what any JPEG 2000 decoder gives is pixel by pixel, whatever Planar Configuration says of
 * the frame before it was compressed.
 */
const componentsInTurns = {
  name: "components-in-turns",
  transform(code, id) {
    const [, decoder] = /dicom-image-loader\/dist\/esm\/shared\/decoders\/(decodeHTJ2K|decodeJPEG2000)\.js$/.exec(id) ?? [];
    if (!decoder) return undefined;
    let mended = code.replace(/(\.\.\.encodedImageInfo,)(\s*\};)/, "$1 planarConfiguration: 0,$2");
    if (mended === code) throw new Error("the decoders of JPEG 2000 have changed: see whether Planar Configuration is right by now");
    if (decoder === "decodeHTJ2K") {
      const made = "pixelData = new pixelData.constructor(pixelDataArrayBuffer);";
      if (!mended.includes(made)) throw new Error("the decoder of HTJ2K has changed: see whether its lines are right by now");
      mended = `import { linesInTurns } from ${JSON.stringify(here("./src/dicom/planelines.ts"))};\n`
        + mended.replace(made, `${made}\n    const { width, height, componentCount, isUsingColorTransform } = frameInfo;\n`
          + "    if (componentCount > 1 && !isUsingColorTransform) pixelData = linesInTurns(pixelData, width, height, componentCount);");
    }
    return { code: mended, map: null };
  },
};

export default defineConfig({
  base: "/",
  plugins: [solid(), plainIcons, absentTextures, middleOfTwelveBits, componentsInTurns, programFiles],
  resolve: {
    alias: {
      // vtk.js pulls xmlbuilder2 for file formats that are never opened here; it wants Node's
      // `events` and `url`, which do not exist in a browser, and throws while loading.
      xmlbuilder2: here("./src/render/no-xml.ts"),
    },
  },
  worker: { format: "es", plugins: () => [middleOfTwelveBits, componentsInTurns] },
  build: {
    outDir: here("../src/gantry/server/_viewer"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // data: URLs would need a wider Content-Security-Policy
    chunkSizeWarningLimit: 4096,
    rolldownOptions: {
      input: { index: here("./index.html"), "shell-worker": here("./src/api/shell-worker.ts") },
      output: {
        // The browser asks for a service worker by one name, whatever is in it.
        entryFileNames: ({ name }) => (name === "shell-worker" ? "[name].js" : "assets/[name]-[hash].js"),
      },
    },
    license: { fileName: "licenses.md" }, // of everything bundled, beside it
  },
  server: {
    proxy: {
      "/api": "http://127.0.0.1:8080",
      "/dicom-web": "http://127.0.0.1:8080",
    },
  },
});
