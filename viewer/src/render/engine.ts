/** Cornerstone3D, started once per page. */
import { ContextPoolRenderingEngine, cache, imageLoader, init as initCore } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { remember, remembered } from "../i18n/kept";
import { createLinkSpeed } from "../state/linkspeed";
import { LOCAL_SCHEME, SCHEME, noteStoredSyntax, storedSyntax } from "./imageids";
import { loadFrame } from "./loader";
import { loadLocalFrame } from "./localframe";
import { paintWithoutCard } from "./painter";
import { registerProvider } from "./provider";
import { registerSubtraction } from "./subtracting";

/**
 * Any stored transfer syntax, one part per frame (PS3.18 8.7.3.5). The type stands in quotes
 * because it holds a slash; Cornerstone's own header leaves them out.
 */
const FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=';
const AS_STORED = `${FRAME}*`;
/** What the server makes of uncompressed frames where the link is the slowest part: HTJ2K, lossless. */
const COMPRESSED = `multipart/related; type="image/jphc"; transfer-syntax=1.2.840.10008.1.2.4.201, ${AS_STORED}; q=0.5`;
const UNCOMPRESSED = new Set(["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"]);

const MEBIBYTE = 1 << 20;
/** Decoded images kept, as a share of the device's memory (in GiB; browsers tell at most 8). */
const CACHE_PER_GIBIBYTE = 256 * MEBIBYTE;

/** What browsers tell of the link, where they do (Network Information API). */
interface Connection {
  readonly saveData?: boolean;
  readonly effectiveType?: string;
}

const { saveData, effectiveType } = (navigator as { connection?: Connection }).connection ?? {};
const isKnownSlow = saveData === true || (effectiveType ?? "4g") !== "4g";
/** Kept, so that a study that is opened again asks in the words in which the cache has it. */
const SLOW_LINK = "gantry.slow-link";
const speed = createLinkSpeed(isKnownSlow || remembered(SLOW_LINK) !== null);

let wasSlow: boolean | undefined;
function noteSlowness(isSlow: boolean): void {
  if (isSlow !== wasSlow) remember(SLOW_LINK, isSlow ? "1" : null);
  wasSlow = isSlow;
}

/** What was only asked about again, and came from the browser's cache, tells nothing of the link. */
function cameFromCache(request: XMLHttpRequest, bytes: number): boolean {
  const entry = performance.getEntriesByName(request.responseURL).at(-1) as PerformanceResourceTiming | undefined;
  if (performance.getEntriesByType("resource").length > MOST_TIMINGS) performance.clearResourceTimings();
  return entry !== undefined && entry.transferSize < bytes / 2;
}

const MOST_TIMINGS = 200; // browsers keep 250, and note no more then

const HEAD_BYTES = 512;

/** The head of the answer's first part names it (PS3.18 8.7.3.5.2). */
function syntaxOfAnswer(request: XMLHttpRequest): string | undefined {
  if (!(request.response instanceof ArrayBuffer)) return undefined;
  const { byteLength } = request.response;
  const head = new TextDecoder("latin1").decode(new Uint8Array(request.response, 0, Math.min(HEAD_BYTES, byteLength)));
  return /transfer-syntax="?([0-9.]+)/.exec(head)?.[1];
}

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
    beforeSend: (request, imageId) => {
      const askedAt = performance.now();
      const pays = UNCOMPRESSED.has(storedSyntax(imageId) ?? "") && speed.isSlow();
      request.addEventListener("load", ({ loaded }) => {
        if (!cameFromCache(request, loaded)) speed.note(loaded, askedAt, performance.now());
        noteSlowness(speed.isSlow());
        if (!pays) noteStoredSyntax(imageId, syntaxOfAnswer(request) ?? "");
      });
      return Promise.resolve({ Accept: pays ? COMPRESSED : AS_STORED });
    },
  });
  imageLoader.registerImageLoader(SCHEME, loadFrame as never);
  imageLoader.registerImageLoader(LOCAL_SCHEME, loadLocalFrame as never);
  registerSubtraction();
  registerProvider();
  const { deviceMemory = 4 } = navigator as { deviceMemory?: number };
  cache.setMaxCacheSize(Math.max(1, deviceMemory) * CACHE_PER_GIBIBYTE);
  const made = new ContextPoolRenderingEngine("gantry");
  paintWithoutCard(made);
  return made;
}
