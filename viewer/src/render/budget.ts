/** The memory of this device, and what is taken of it for long. Knows nothing of Cornerstone: parts of the page ask, too. */
import type { Stack } from "../dicom/displaysets";
import { bytesDecoded, bytesOnCard, fittingVolume, halvingsFor } from "../dicom/fitting";
import type { FrameDescription } from "../dicom/frame";
import { halved } from "../dicom/reduction";
import type { NoVolume, Volume } from "../dicom/volume";
import { remembered } from "../i18n/kept";
import { MEBIBYTE, memoryBudget } from "../state/memory";

/** In MiB, where somebody has chosen; a device may be weaker than it says. */
const CHOSEN = "gantry.memory-mib";

let budget = memoryBudget({
  deviceMemory: (navigator as { deviceMemory?: number }).deviceMemory,
  isHandheld: matchMedia("(pointer: coarse) and (hover: none)").matches,
  chosen: remembered(CHOSEN),
});

export const budgetBytes = (): number => budget;

/** `held` bytes were more than there are: half of them is what is counted with from now on, and `least` at the least. */
export function cutBudget(held: number, least: number): void {
  budget = Math.min(budget, Math.max(MEBIBYTE, least, Math.min(budget, held) / 2));
}

/** How much of it one volume may take, or the images of stacks that are looked at: the rest is for those looked at before. */
export const SHARE_OF_CACHE = 0.7;

let mostVolumeBytes = SHARE_OF_CACHE * budget;

/** A volume could not be had for lack of memory: it is tried in a smaller form, and so are those that follow. */
export function notSoLarge(volume: Volume): void {
  mostVolumeBytes = Math.min(mostVolumeBytes, bytesOnCard(volume) / 2);
}

/** All that are drawn are more than the graphics can hold. */
export function halveVolumes(): void {
  const [largest] = [...reservations.values()].map(({ volume }) => volume).sort((a, b) => bytesOnCard(b) - bytesOnCard(a));
  if (largest) notSoLarge(largest);
}

/** The volume of a stack as this device can hold it. */
export function volumeHere(stack: Stack): Volume | NoVolume {
  return fittingVolume(stack, mostVolumeBytes);
}

interface Reservation {
  readonly firstImage: string;
  readonly bytes: number;
  readonly volume: Volume;
}

const reservations = new Map<string, Reservation>();

/** A volume's images do not make room for others as long as it is drawn. */
export function reserve(volumeId: string, volume: Volume, firstImage: string, bytes: number): void {
  reservations.set(volumeId, { volume, firstImage, bytes });
}

export function release(volumeId: string): void {
  reservations.delete(volumeId);
}

/** The images of so many stacks share what volumes of other images leave. */
export function bytesForStack(imageIds: ReadonlySet<string>, stacks: number): number {
  let taken = 0;
  for (const { firstImage, bytes } of reservations.values()) if (!imageIds.has(firstImage)) taken += bytes;
  return (SHARE_OF_CACHE * Math.max(0, budget - taken)) / Math.max(1, stacks);
}

/** While a frame is decoded, several copies of it are in memory. */
const SHARE_OF_FRAME = 0.25;
/** Canvases of more are refused by some browsers; a picture by the server is put on one. */
const MOST_CANVAS_PIXELS = 1 << 24;
/** Where the graphics do not tell. */
const USUAL_SIDE = 4096;

let longest: number | undefined;

function longestSide(): number {
  if (longest !== undefined) return longest;
  const context = new OffscreenCanvas(1, 1).getContext("webgl2");
  const told: unknown = context?.getParameter(context.MAX_TEXTURE_SIZE);
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return (longest = typeof told === "number" ? told : USUAL_SIDE);
}

let mostFrameBytes = SHARE_OF_FRAME * budget;
/** In pixels; smaller pictures show nothing. */
const LEAST_SIDE = 256;

/** A frame could not be had for lack of memory: it is tried in a smaller form, and so are those that follow. False where there is none. */
export function notSoLargeFrames(frame: FrameSize): boolean {
  const size = sizeHere(frame);
  if (Math.max(size.rows, size.columns) <= LEAST_SIDE) return false;
  mostFrameBytes = bytesDecoded(size) / 2;
  return true;
}

type FrameSize = Pick<FrameDescription, "rows" | "columns">;

function sizeHere(frame: FrameSize): FrameSize {
  const halvings = frameHalvings(frame);
  return { rows: halved(frame.rows, halvings), columns: halved(frame.columns, halvings) };
}

/** Three in an array, and four on a canvas. */
const BYTES_OF_COLOUR = 7;

/** What a frame takes in the cache as this device shows it. */
export function bytesOf(frame: Pick<FrameDescription, "rows" | "columns" | "samplesPerPixel" | "bitsAllocated">): number {
  const { rows, columns } = sizeHere(frame);
  const isPicture = frame.samplesPerPixel > 1 || rows < frame.rows;
  return rows * columns * (isPicture ? BYTES_OF_COLOUR : Math.min(4, Math.ceil(frame.bitsAllocated / 8)));
}

/** What drawing it takes beside. */
export const bytesToDraw = (frame: FrameSize): number => bytesDecoded(sizeHere(frame));

/** How often this device must halve a frame to show it with its values. */
export const frameHalvings = (frame: FrameSize): number => halvingsWithin(frame, Infinity);

/** How often a picture of it must be, in colours. */
export const pictureHalvings = (frame: FrameSize): number => halvingsWithin(frame, MOST_CANVAS_PIXELS);

function halvingsWithin(frame: FrameSize, pixels: number): number {
  // All graphics take sides of this size; to ask for more takes longer than a first picture should.
  const side = Math.max(frame.rows, frame.columns) <= USUAL_SIDE ? USUAL_SIDE : longestSide();
  return halvingsFor(frame, { bytes: mostFrameBytes, pixels, side });
}
