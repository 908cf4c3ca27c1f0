/** How frames are asked for: as stored or compressed, of the browser's cache or of the server, now or later. */
import { fetchFrame, fetchFrameBeginning, fetchFrameRest, type FrameBeginning, type FrameBytes, type FrameWish } from "../api/frames";
import type { Stack } from "../dicom/displaysets";
import { isHtj2k } from "../dicom/htj2k";
import { remember, remembered } from "../i18n/kept";
import { firstBytes } from "../state/beginnings";
import { isStackKept } from "../state/keptstacks";
import { createLinkSpeed } from "../state/linkspeed";
import { framePath, knownFrame, noteStoredSyntax, storedSyntax } from "./imageids";

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

/** Frames that the browser's cache has as they are now. */
const unchanged = new Set<string>();

/** To be called before a stack's frames are asked for, with their ids. */
export function recallStack(stack: Stack, study: string, imageIds: readonly string[]): void {
  const isKept = isStackKept(stack, study);
  for (const id of imageIds) {
    if (isKept) unchanged.add(id);
    else unchanged.delete(id);
  }
}

/** Decoded by the server, whatever it is stored as. */
export async function decodedFrameOf(imageId: string, urgent: boolean, signal: AbortSignal): Promise<FrameBytes> {
  const path = framePath(imageId);
  const wish: FrameWish = { compressed: false, decoded: true, unchanged: unchanged.has(imageId), urgent, signal };
  return await timed(path, () => fetchFrame(path, wish));
}

/** What is done with the first bytes of a frame, before the rest has come. */
export type OnBeginning = (begun: FrameBeginning) => void;

/** `onBeginning` is told of the first bytes where a picture in small can be made of them and it pays. */
export async function frameOf(imageId: string, urgent: boolean, signal: AbortSignal, onBeginning?: OnBeginning): Promise<FrameBytes> {
  const path = framePath(imageId);
  const stored = storedSyntax(imageId);
  const size = knownFrame(imageId)?.frame;
  // Compressed, each pixel has colours of its own, which the header does not say.
  const isHalved = size?.photometricInterpretation.endsWith("_422") === true;
  const compressed = speed.isSlow() && !isHalved && (stored === undefined || UNCOMPRESSED.has(stored));
  const wish: FrameWish = { compressed, unchanged: unchanged.has(imageId), urgent, signal };
  // What the browser's cache has whole is had at once.
  const mayBegin = size && !wish.unchanged && (compressed || stored === undefined || isHtj2k(stored));
  const first = mayBegin ? firstBytes(size, speed.expected()) : undefined;
  const frame = onBeginning && first ? await inTwo(path, wish, first, onBeginning) : await timed(path, () => fetchFrame(path, wish));
  if (!compressed) noteStoredSyntax(imageId, frame.transferSyntaxUid);
  return frame;
}

async function inTwo(path: string, wish: FrameWish, first: number, onBeginning: OnBeginning): Promise<FrameBytes> {
  const begun = await timed(path, () => fetchFrameBeginning(path, wish, first));
  if (begun.bytes.length >= begun.total) return begun;
  if (isHtj2k(begun.transferSyntaxUid)) onBeginning(begun);
  return await timed(path, () => fetchFrameRest(path, wish, begun), begun.bytes.length);
}

/** What is fetched, by which the speed of the link is known; `held` bytes of it were here before. */
async function timed<Fetched extends FrameBytes>(path: string, fetching: () => Promise<Fetched>, held = 0): Promise<Fetched> {
  const askedAt = performance.now();
  const frame = await fetching();
  const came = frame.bytes.length - held;
  if (!cameFromCache(path, came)) speed.note(came, askedAt, performance.now());
  noteSlowness(speed.isSlow());
  return frame;
}
