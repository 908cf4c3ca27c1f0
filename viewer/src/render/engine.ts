/** Cornerstone3D, started once per page, and once more where the graphics gave up. */
import { ContextPoolRenderingEngine, Enums, cache, eventTarget, imageLoader, init as initCore, utilities } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { budgetBytes, halveVolumes } from "./budget";
import { IMAGE_RETRIEVAL } from "./early";
import { LOCAL_SCHEME, SCHEME } from "./imageids";
import { loadFrame } from "./loader";
import { loadLocalFrame } from "./localframe";
import { paintWithoutCard } from "./painter";
import { registerProvider } from "./provider";
import { registerReduction } from "./reducing";
import { registerSubtraction } from "./subtracting";

let engine: ContextPoolRenderingEngine | undefined;
let started = 0;

export function renderingEngine(): ContextPoolRenderingEngine {
  engine ??= start();
  return engine;
}

type Watcher = () => void;

const watchers = new Set<Watcher>();

/** Tells when all that was drawn is gone, and whoever drew it must let go of it. The result tells no more. */
export function watchLoss(watcher: Watcher): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Takes a viewport out of the engine it was made with, which may be gone. */
export function disable(made: ContextPoolRenderingEngine, viewportId: string): void {
  if (!made.hasBeenDestroyed) made.disableElement(viewportId);
}

/** The graphics gave up, for lack of memory most often: the next engine begins anew, with smaller volumes. */
function lost({ detail }: { readonly detail: { readonly renderingEngineId: string } }): void {
  if (!engine || detail.renderingEngineId !== engine.id) return;
  const gone = engine;
  halveVolumes();
  for (const watcher of [...watchers]) watcher();
  gone.destroy();
  engine = undefined;
}

function start(): ContextPoolRenderingEngine {
  started += 1;
  if (started === 1) prepare();
  const made = new ContextPoolRenderingEngine(`gantry-${started}`);
  paintWithoutCard(made);
  return made;
}

function prepare(): void {
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
  eventTarget.addEventListener(Enums.Events.WEBGL_CONTEXT_LOST, lost as never);
}
