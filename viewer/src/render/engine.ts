/** Cornerstone3D, started once per page. */
import { ContextPoolRenderingEngine, cache, imageLoader, init as initCore, utilities } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { IMAGE_RETRIEVAL } from "./early";
import { LOCAL_SCHEME, SCHEME } from "./imageids";
import { loadFrame } from "./loader";
import { loadLocalFrame } from "./localframe";
import { paintWithoutCard } from "./painter";
import { registerProvider } from "./provider";
import { registerSubtraction } from "./subtracting";

const MEBIBYTE = 1 << 20;
/** Decoded images kept, as a share of the device's memory (in GiB; browsers tell at most 8). */
const CACHE_PER_GIBIBYTE = 256 * MEBIBYTE;

let engine: ContextPoolRenderingEngine | undefined;

export function renderingEngine(): ContextPoolRenderingEngine {
  engine ??= start();
  return engine;
}

export function cacheBudgetBytes(): number {
  return cache.getMaxCacheSize();
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
  const { deviceMemory = 4 } = navigator as { deviceMemory?: number };
  cache.setMaxCacheSize(Math.max(1, deviceMemory) * CACHE_PER_GIBIBYTE);
  const made = new ContextPoolRenderingEngine("gantry");
  paintWithoutCard(made);
  return made;
}
