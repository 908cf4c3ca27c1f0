/**
 * What is taken out of the viewer as pictures and clips: sizes, times and names of files, as values.
 * Sizes are in pixels of the file unless it is said otherwise.
 */

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** As on the screen, twice as large, or one pixel of the file for one of the image. */
export const SCALES = ["shown", "double", "own"] as const;

export type Scale = (typeof SCALES)[number];

/** What is drawn over the pixels. */
export interface Shown {
  /** The corners, the letters at the edges, the scale. */
  readonly text: boolean;
  /** Measurements, reference lines, the cursor. */
  readonly drawings: boolean;
  /** Names, numbers and dates by which a patient is known. */
  readonly patient: boolean;
}

/** What graphics cards and browsers draw in one go; a mammogram has 4096 rows. */
export const MOST_SIDE = 4096;
/** Codecs of common players take so much. */
export const MOST_CLIP_SIDE = 1920;

/** The same shape, with no side longer than `most`. */
export function within(size: Size, most: number): Size {
  const by = Math.min(1, most / Math.max(size.width, size.height));
  return { width: Math.max(1, Math.round(size.width * by)), height: Math.max(1, Math.round(size.height * by)) };
}

/** Codecs halve the colours, so sides are even. */
export function even({ width, height }: Size): Size {
  return { width: Math.max(2, width & ~1), height: Math.max(2, height & ~1) };
}

/**
 * Of an image whose pixels are `spacing` apart from row to row and column to column: the smallest in
 * which each of its pixels has one of the file at least, in its true shape.
 */
export function ownSize(rows: number, columns: number, spacing: readonly [number, number], isTurned: boolean): Size {
  const least = Math.min(...spacing);
  const [width, height] = [Math.round((columns * spacing[1]) / least), Math.round((rows * spacing[0]) / least)];
  return isTurned ? { width: height, height: width } : { width, height };
}

/** From one to another, both within `count`, each of them counted from 1. */
export interface Range {
  readonly from: number;
  readonly to: number;
  /** 1 for each, 2 for every second. */
  readonly every: number;
}

/** Indexes, from 0. */
export function indexesOf({ from, to, every }: Range, count: number): readonly number[] {
  const held = (at: number) => Math.min(count, Math.max(1, Math.round(at) || 1));
  const [first, last] = [held(from), held(to)];
  const step = Math.max(1, Math.round(every) || 1) * (first <= last ? 1 : -1);
  const indexes: number[] = [];
  for (let at = first; step > 0 ? at <= last : at >= last; at += step) indexes.push(at - 1);
  return indexes;
}

/** GIF counts in hundredths of a second, and players take less than two of them for ten. */
const LEAST_HUNDREDTHS = 2;
export const FASTEST_GIF = 100 / LEAST_HUNDREDTHS;

/** How long picture `index` of a GIF is seen, in hundredths of a second, so that all of them take their time. */
export function hundredths(index: number, framesPerSecond: number): number {
  const rate = Math.min(FASTEST_GIF, framesPerSecond);
  const until = (count: number) => Math.round((count * 100) / rate);
  return Math.max(LEAST_HUNDREDTHS, until(index + 1) - until(index));
}

const LONGEST_NAME = 120;
/** What one of the usual file systems does not take, and what cannot be seen. */
const NOT_IN_NAMES = /[\\/:*?"<>|\p{Cc}\p{Cf}]/gu;

/** "Doe, Jane 2026-01-02 CT 3 image 17.png"; what is empty is left out. */
export function fileName(parts: readonly (string | undefined)[], extension: string): string {
  const words = parts.map((part) => (part ?? "").replace(NOT_IN_NAMES, " ").replace(/\s+/g, " ").trim()).filter(Boolean);
  const name = [...words.join(" ")].slice(0, LONGEST_NAME).join("").replace(/^[. ]+|[. ]+$/g, "");
  return `${name || "image"}.${extension}`;
}
