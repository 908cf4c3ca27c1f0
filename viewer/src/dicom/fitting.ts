/** How far a volume must be reduced for a device to hold it, by its memory and by its graphics. */
import type { Stack } from "./displaysets";
import { UNREDUCED, halved, type Reduction } from "./reduction";
import { FEWEST, isVolume, volumeOf, type NoVolume, type Volume } from "./volume";

const MEGABYTE = 1_000_000;
/** What WebGL 2 promises is 256; desktops and phones of the last ten years give 2048. */
const LONGEST_SIDE = 2048;
/** Graphics cards are given values as 32-bit numbers whatever their size in the image. */
const BYTES_ON_THE_CARD = 4;
/** Smaller pictures show nothing. */
const LEAST_SIDE = 16;
/** How much coarser images may become than the steps between them, before images are left out. */
const COARSEST = 2;

export function bytesOnCard({ dimensions: [columns, rows, layers] }: Volume): number {
  return columns * rows * layers * BYTES_ON_THE_CARD;
}

/** Undefined where a device that keeps so many bytes can hold it. */
export function tooLarge(volume: Volume, mostBytes: number): NoVolume | undefined {
  const voxels = Math.max(...volume.dimensions);
  if (voxels > LONGEST_SIDE) return { why: "long", voxels, most: LONGEST_SIDE };
  const bytes = bytesOnCard(volume);
  if (bytes <= mostBytes) return undefined;
  return { why: "large", megabytes: Math.ceil(bytes / MEGABYTE), mostMegabytes: Math.floor(mostBytes / MEGABYTE) };
}

/**
 * The volume of a stack as a device holds it that keeps so many bytes: whole, or with its images halved, which keeps
 * something of every pixel, or in the end with images left out.
 */
export function fittingVolume(stack: Stack, mostBytes: number): Volume | NoVolume {
  let volume = volumeOf(stack);
  for (let reduction: Reduction | undefined = UNREDUCED; isVolume(volume); ) {
    const refusal = tooLarge(volume, mostBytes);
    if (!refusal) return volume;
    reduction = further(volume, reduction, stack.frames.length);
    if (!reduction) return refusal;
    volume = volumeOf(stack, reduction);
  }
  return volume;
}

/** The next smaller form; undefined where there is none that shows anything. */
function further({ dimensions, spacing }: Volume, { halvings, every }: Reduction, frames: number): Reduction | undefined {
  const [columns, rows, layers] = dimensions;
  const mayHalve = Math.min(columns, rows) > LEAST_SIDE;
  const maySkip = Math.ceil(frames / (every + 1)) >= FEWEST;
  const halving = mayHalve ? { halvings: halvings + 1, every } : undefined;
  const skipping = maySkip ? { halvings, every: every + 1 } : undefined;
  if (Math.max(columns, rows) > LONGEST_SIDE) return halving;
  if (layers > LONGEST_SIDE) return skipping && { halvings, every: Math.max(skipping.every, Math.ceil((layers * every) / LONGEST_SIDE)) };
  const isCoarse = Math.max(spacing[0], spacing[1]) > COARSEST * spacing[2];
  return isCoarse ? (skipping ?? halving) : (halving ?? skipping);
}

/** In the size in which most are decoded; more, and they would be 32-bit numbers all the same. */
const BYTES_DECODED = 4;

interface Room {
  readonly bytes: number;
  readonly pixels: number;
  readonly side: number;
}

/** What a frame of so many pixels takes while it is shown. */
export const bytesDecoded = ({ rows, columns }: { readonly rows: number; readonly columns: number }): number => rows * columns * BYTES_DECODED;

/** How often a frame must be halved to be shown in so much room. */
export function halvingsFor({ rows, columns }: { readonly rows: number; readonly columns: number }, room: Room): number {
  const fits = (halvings: number) => {
    const [wide, high] = [halved(columns, halvings), halved(rows, halvings)];
    return bytesDecoded({ rows: high, columns: wide }) <= room.bytes && wide * high <= room.pixels && Math.max(wide, high) <= room.side;
  };
  let halvings = 0;
  while (!fits(halvings) && Math.max(halved(columns, halvings), halved(rows, halvings)) > 1) halvings += 1;
  return halvings;
}
