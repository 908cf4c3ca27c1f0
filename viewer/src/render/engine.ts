/** Cornerstone3D, started once per page, and once more where the graphics gave up. */
import { ContextPoolRenderingEngine, Enums, cache, eventTarget, imageLoader, init as initCore, utilities } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { isOutOfMemory } from "../state/memory";
import { budgetBytes, halveVolumes } from "./budget";
import { IMAGE_RETRIEVAL } from "./early";
import { LOCAL_SCHEME, SCHEME } from "./imageids";
import { loadFrame } from "./loader";
import { loadLocalFrame } from "./localframe";
import { paintWithoutCard } from "./painter";
import { registerProvider } from "./provider";
import { registerReduction } from "./reducing";
import { keepWhatComes, makeRoomToDraw } from "./room";
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

/** What of an engine waits for the next frame of the page. */
interface Waiting {
  readonly _animationFrameHandle: number | null;
  _renderFlaggedViewports(): void;
}

let drawnAt: CSSNumberish | null | undefined;

/**
 * Draws what would wait for the next frame of the page, once a frame: what goes on from frame to frame, as a clip does,
 * would have an image in every other frame else.
 */
export function drawNow(made: ContextPoolRenderingEngine): void {
  const now = document.timeline.currentTime;
  const waiting = made as unknown as Waiting;
  if (made.hasBeenDestroyed || waiting._animationFrameHandle === null || now === drawnAt) return;
  drawnAt = now;
  cancelAnimationFrame(waiting._animationFrameHandle);
  waiting._renderFlaggedViewports();
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
  letNothingThrough(made);
  paintWithoutCard(made);
  goOnWithoutMemory(made);
  return made;
}

/** What fails while it is drawn keeps everything from being drawn ever after: without memory, all is drawn anew. */
function goOnWithoutMemory(made: ContextPoolRenderingEngine): void {
  const waiting = made as unknown as Waiting;
  const draw = waiting._renderFlaggedViewports;
  waiting._renderFlaggedViewports = () => {
    try {
      draw();
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      makeRoomToDraw();
      lost({ detail: { renderingEngineId: made.id } });
    }
  };
}

interface Filling {
  fillCanvasWithBackgroundColor(canvas: HTMLCanvasElement, background: unknown): void;
}

/** The engine's first word to a canvas; a page of opaque ones is put together in half the time where the processor does that. */
function letNothingThrough(made: object): void {
  const filling = made as Filling;
  const fill = filling.fillCanvasWithBackgroundColor.bind(made);
  filling.fillCanvasWithBackgroundColor = (canvas, background) => {
    canvas.getContext("2d", { alpha: false });
    fill(canvas, background);
  };
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
  cache.setMaxCacheSize(budgetBytes());
  keepWhatComes();
  eventTarget.addEventListener(Enums.Events.WEBGL_CONTEXT_LOST, lost as never);
}
