/** Cornerstone3D, started once per page. */
import { RenderingEngine, cache, imageLoader, init as initCore } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { SCHEME } from "./imageids";
import { loadFrame } from "./loader";
import { registerProvider } from "./provider";

/**
 * Any stored transfer syntax, one part per frame (PS3.18 8.7.3.5). The type stands in quotes
 * because it holds a slash; Cornerstone's own header leaves them out.
 */
const ACCEPT = 'multipart/related; type="application/octet-stream"; transfer-syntax=*';

const MEBIBYTE = 1 << 20;
/** Decoded images kept, as a share of the device's memory (in GiB; browsers tell at most 8). */
const CACHE_PER_GIBIBYTE = 256 * MEBIBYTE;

let engine: RenderingEngine | undefined;

export function renderingEngine(): RenderingEngine {
  engine ??= start();
  return engine;
}

export function cacheBudgetBytes(): number {
  return cache.getMaxCacheSize();
}

function start(): RenderingEngine {
  initCore({ rendering: { webGlContextCount: 1 } } as Parameters<typeof initCore>[0]);
  initLoader({
    maxWebWorkers: Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1)),
    beforeSend: () => Promise.resolve({ Accept: ACCEPT }),
  });
  imageLoader.registerImageLoader(SCHEME, loadFrame as never);
  registerProvider();
  const { deviceMemory = 4 } = navigator as { deviceMemory?: number };
  cache.setMaxCacheSize(Math.max(1, deviceMemory) * CACHE_PER_GIBIBYTE);
  return new RenderingEngine("gantry");
}
