/** What is done where memory is refused, however much of it the device had said that it has. */
import { Enums, cache, getEnabledElements, type Types } from "@cornerstonejs/core";
import { whyNotGiven } from "../dicom/allocation";
import { isOutOfMemory } from "../state/memory";
import { budgetBytes, bytesOf, bytesToDraw, cutBudget, notSoLargeFrames } from "./budget";
import { isHere } from "./here";
import { knownFrame, plainId } from "./imageids";

/** How often room was made; of several that are refused at once, only the first cuts the budget. */
let made = 0;

/**
 * Does what takes memory for an image. Refused, the budget is halved, the oldest images go, and it is done once more;
 * refused again, the image is had in a smaller form, unless nobody waits for it (`isAhead`).
 */
export async function withRoom<Result>(imageId: string, isAhead: boolean, act: (isAgain: boolean) => Promise<Result>): Promise<Result> {
  for (let refusals = 1; ; refusals += 1) {
    const before = made;
    try {
      return await act(refusals > 1);
    } catch (error) {
      const goesOn = isOutOfMemory(error) && (refusals === 1 || (!isAhead && makeSmaller(imageId)));
      if (!goesOn) throw error;
      if (made === before) makeRoom(imageId);
      if (isAhead) continue;
      await settled();
      await collected(imageId);
    }
  }
}

/** Halves the budget, by what is held in truth, and lets go of the oldest images that nobody looks at. */
export function makeRoom(imageId?: string): void {
  made += 1;
  const frame = imageId === undefined ? undefined : knownFrame(imageId)?.frame;
  // One is seen while another comes.
  cutBudget(cache.getCacheSize(), frame ? 2 * bytesOf(frame) : 0);
  cache.setMaxCacheSize(budgetBytes());
  letGo(0, imageId === undefined ? [] : [imageId]);
}

/** In place of the cache's own way, which would let go of what is on its way as well, and cancel it for whoever waits. */
export function keepWhatComes(): void {
  cache.decacheIfNecessaryUntilBytesAvailable = letGo;
}

/** Lets go of the oldest images until so many bytes are free, but of none that is seen, nor of these. */
function letGo(bytes: number, but: readonly string[] = []): number {
  if (cache.getBytesAvailable() >= bytes) return cache.getBytesAvailable();
  const stays = new Set([...shownImages(), ...but]);
  for (const { imageId } of held().sort((one, other) => one.timeStamp - other.timeStamp)) {
    if (cache.getBytesAvailable() >= bytes) break;
    if (!stays.has(imageId)) cache.removeImageLoadObject(imageId);
  }
  return cache.getBytesAvailable();
}

let drawingsRefused = 0;

/** Makes room where memory was refused while images were drawn; refused again, the largest of them is had smaller, too. */
export function makeRoomToDraw(): void {
  drawingsRefused += 1;
  makeRoom();
  const size = (imageId: string) => cache.getImage(imageId)?.sizeInBytes ?? 0;
  const [largest] = shownImages().sort((one, other) => size(other) - size(one));
  if (drawingsRefused > 1 && largest !== undefined) makeSmaller(largest);
}

/**
 * Fails where memory was refused before and is not to be had now for drawing an image: the copy that a viewport holds, and
 * the 32-bit numbers that a graphics card is given. In the midst of drawing, a refusal costs the graphics.
 */
export function assureRoomToDraw(imageId: string): void {
  const image = made > 0 ? cache.getImage(imageId) : undefined;
  if (image) void [image.getPixelData().byteLength, image.rows * image.columns * BYTES_ON_CARD].map((bytes) => new ArrayBuffer(bytes));
}

const BYTES_ON_CARD = 4;

function shownImages(): string[] {
  const stacks = getEnabledElements().flatMap(({ viewport }) => (viewport.type === Enums.ViewportType.STACK ? [viewport as Types.IStackViewport] : []));
  return stacks.flatMap((viewport) => viewport.getCurrentImageId() ?? []);
}

/** What is on its way takes memory until it has come. */
async function settled(): Promise<void> {
  const coming = images().filter(({ loaded }) => !loaded);
  await Promise.allSettled(coming.map(({ imageLoadObject }) => imageLoadObject.promise));
}

const LOOK_AGAIN_MS = 50;
const MOST_LOOKS = 10;

/** What was let go of is free once the browser has collected it, which it does beside the page. */
async function collected(imageId: string): Promise<void> {
  const frame = knownFrame(imageId)?.frame;
  for (let looks = 0; frame && looks < MOST_LOOKS && !isFree(bytesToDraw(frame)); looks += 1)
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
}

function isFree(bytes: number): boolean {
  return whyNotGiven(bytes, undefined) === undefined;
}

interface Held {
  readonly imageId: string;
  readonly imageLoadObject: Types.IImageLoadObject;
  readonly loaded: boolean;
  /** Of a volume that pins it. */
  readonly sharedCacheKey?: string;
  readonly timeStamp: number;
}

/** The images that the cache may let go of. */
function held(): Held[] {
  return images().filter(({ loaded, sharedCacheKey }) => loaded && sharedCacheKey === undefined);
}

function images(): Held[] {
  return [...(cache as unknown as { readonly _imageCache: ReadonlyMap<string, Held> })._imageCache.values()];
}

/** False where there is no smaller form. What is made of several frames has none. */
function makeSmaller(imageId: string): boolean {
  const found = imageId === plainId(imageId) ? knownFrame(imageId) : undefined;
  if (!found || !notSoLargeFrames(found.frame)) return false;
  if (isHere(imageId)) cache.removeImageLoadObject(imageId);
  return true;
}
