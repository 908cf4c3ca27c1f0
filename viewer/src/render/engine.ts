/** Cornerstone3D, started once per page. */
import { ContextPoolRenderingEngine, cache, imageLoader, init as initCore, utilities } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { budgetBytes } from "./budget";
import { IMAGE_RETRIEVAL } from "./early";
import { LOCAL_SCHEME, SCHEME } from "./imageids";
import { loadFrame } from "./loader";
import { loadLocalFrame } from "./localframe";
import { paintWithoutCard } from "./painter";
import { registerProvider } from "./provider";
import { registerReduction } from "./reducing";
import { registerSubtraction } from "./subtracting";

let engine: ContextPoolRenderingEngine | undefined;

export function renderingEngine(): ContextPoolRenderingEngine {
  engine ??= start();
  return engine;
}

function start(): ContextPoolRenderingEngine {
  initCore({ rendering: { webGlContextCount: 1 } } as Parameters<typeof initCore>[0]);
  initLoader({
    maxWebWorkers: Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1)),
  });
  imageLoader.registerImageLoader(SCHEME, loadFrame as never);
  imageLoader.registerImageLoader(LOCAL_SCHEME, loadLocalFrame as never);
  utilities.imageRetrieveMetadataProvider.add("stack", IMAGE_RETRIEVAL as never);
  registerSubtraction();
  registerProvider();
  registerReduction();
  cache.setMaxCacheSize(budgetBytes);
  const made = new ContextPoolRenderingEngine("gantry");
  paintWithoutCard(made);
  return made;
}
