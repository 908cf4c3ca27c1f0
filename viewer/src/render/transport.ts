/** How frames are asked for: as stored or compressed, of the browser's cache or of the server, now or later. */
import { fetchFrame, type FrameBytes } from "../api/frames";
import { isUnchanged, metadataTag } from "../api/dicomweb";
import type { Stack } from "../dicom/displaysets";
import { remember, remembered } from "../i18n/kept";
import { createKeptSeries } from "../state/keptseries";
import { createLinkSpeed } from "../state/linkspeed";
import { framePath, noteStoredSyntax, storedSyntax } from "./imageids";

const UNCOMPRESSED = new Set(["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"]);

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

const MOST_TIMINGS = 200; // browsers keep 250, and note no more then

/** What was only asked about again, and came from the browser's cache, tells nothing of the link. */
function cameFromCache(path: string, bytes: number): boolean {
  const address = new URL(path, location.href).href;
  const entry = performance.getEntriesByName(address).at(-1) as PerformanceResourceTiming | undefined;
  if (performance.getEntriesByType("resource").length > MOST_TIMINGS) performance.clearResourceTimings();
  return entry !== undefined && entry.transferSize < bytes / 2;
}

const KEPT = "gantry.kept-series";
const kept = createKeptSeries({ read: () => remembered(KEPT), write: (text) => remember(KEPT, text) });
/** Frames that the browser's cache has as they are now. */
const unchanged = new Set<string>();

/** To be called before a stack's frames are asked for, with their ids. */
export function recallStack(stack: Stack, study: string, imageIds: readonly string[]): void {
  const isKept = kept.isKept(stack.id, metadataTag(study, stack.seriesUid));
  for (const id of imageIds) {
    if (isKept) unchanged.add(id);
    else unchanged.delete(id);
  }
}

/** To be called when all frames of a stack have come. */
export async function keepStack(stack: Stack, study: string): Promise<void> {
  const tag = metadataTag(study, stack.seriesUid);
  if (!tag || kept.isKept(stack.id, tag)) return;
  try {
    // Were it another one by now, some of the frames may be of the state before.
    if (await isUnchanged(study, stack.seriesUid)) kept.note(stack.id, tag);
  } catch {
    // Then each frame is asked about again next time.
  }
}

/** `decoded` by the server, whatever it is stored as. */
export async function frameOf(imageId: string, urgent: boolean, signal: AbortSignal, decoded = false): Promise<FrameBytes> {
  const compressed = !decoded && UNCOMPRESSED.has(storedSyntax(imageId) ?? "") && speed.isSlow();
  const path = framePath(imageId);
  const askedAt = performance.now();
  const frame = await fetchFrame(path, { compressed, decoded, unchanged: unchanged.has(imageId), urgent, signal });
  const { byteLength } = frame.bytes;
  if (!cameFromCache(path, byteLength)) speed.note(byteLength, askedAt, performance.now());
  noteSlowness(speed.isSlow());
  if (!compressed && !decoded) noteStoredSyntax(imageId, frame.transferSyntaxUid);
  return frame;
}
