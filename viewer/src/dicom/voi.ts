/**
 * VOI LUT functions, and the window of an image that has none (PS3.3 C.11.2): as the server decides, so that both
 * show one picture.
 */

export type VoiFunction = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

export interface Voi {
  readonly center: number;
  readonly width: number;
  readonly voiFunction: VoiFunction;
}

export function voiFunctionOf(name: string | undefined): VoiFunction {
  const upper = name?.toUpperCase();
  return upper === "LINEAR_EXACT" || upper === "SIGMOID" ? upper : "LINEAR";
}

/** A LINEAR window of one or less over fractions is meant as a ramp; by the letter it is a threshold. */
export function functionFor(width: number, named: VoiFunction, isWhole: boolean): VoiFunction {
  return named === "LINEAR" && width <= 1 && !isWhole ? "LINEAR_EXACT" : named;
}

/** Whether the values of a frame are whole numbers once they are rescaled. */
export function isWholeValued({ floatBits, modalityLut, rescaleSlope, rescaleIntercept }: Valued): boolean {
  if (floatBits !== undefined) return false;
  return modalityLut !== undefined || (Number.isInteger(rescaleSlope) && Number.isInteger(rescaleIntercept));
}

/** What of a frame decides how its windows are meant. */
export interface Valued {
  readonly floatBits: 32 | 64 | undefined;
  readonly modalityLut: unknown;
  readonly rescaleSlope: number;
  readonly rescaleIntercept: number;
  readonly voiFunction: VoiFunction;
}

/** A window of a frame with the function by which it is meant. */
export function meantWindow<Given extends Meant>(given: Given, frame: Valued): Given & { readonly voiFunction: VoiFunction } {
  const { width, voiFunction = functionFor(width, frame.voiFunction, isWholeValued(frame)) } = given;
  return { ...given, voiFunction };
}

interface Meant {
  readonly width: number;
  readonly voiFunction?: VoiFunction | undefined;
}

/** The values that are black and white under a window (PS3.3 C.11.2.1.2, C.11.2.1.3). */
export function rangeOf(center: number, width: number, voiFunction: VoiFunction): { lower: number; upper: number } {
  if (voiFunction === "LINEAR_EXACT") return { lower: center - width / 2, upper: center + width / 2 };
  const half = (Math.max(width, 1 + THRESHOLD_WIDTH) - 1) / 2;
  return { lower: center - 0.5 - half, upper: center - 0.5 + half };
}

/** A threshold is a very steep ramp. */
const THRESHOLD_WIDTH = 1e-3;

export function windowOfRange(lower: number, upper: number, voiFunction: VoiFunction): { center: number; width: number } {
  if (voiFunction === "LINEAR_EXACT") return { center: (lower + upper) / 2, width: upper - lower };
  return { center: (lower + upper + 1) / 2, width: upper - lower + 1 };
}

const FROM_ZERO = new Set(["PT", "NM", "RTDOSE", "RWV", "PM"]);

export interface WhatItIs {
  readonly modality: string;
  readonly isHounsfield: boolean;
  /** Undefined where the values are not as stored. */
  readonly bitsStored: number | undefined;
}

/** For values that came out of the Modality LUT, without padding. */
export function defaultVoi(values: Float64Array, { modality, isHounsfield, bitsStored }: WhatItIs): Voi {
  if (bitsStored !== undefined && bitsStored <= 8) {
    const white = 2 ** bitsStored - 1;
    return { center: (white + 1) / 2, width: white + 1, voiFunction: "LINEAR" };
  }
  if (modality === "CT" && isHounsfield) return { center: 40, width: 400, voiFunction: "LINEAR" };
  const sorted = values.filter(Number.isFinite).sort();
  if (sorted.length === 0) return { center: 0.5, width: 1, voiFunction: "LINEAR_EXACT" };
  const [least, greatest] = [sorted[0]!, sorted[sorted.length - 1]!];
  let [low, high] = [least, greatest];
  if (FROM_ZERO.has(modality)) [low, high] = [Math.min(0, least), percentile(sorted, 99.9)];
  else if (modality !== "SEG") [low, high] = [percentile(sorted, 0.5), percentile(sorted, 99.5)];
  if (low >= high) [low, high] = [least, greatest];
  // Nothing to tell apart: black, and what is above it white.
  if (low === high) return { center: low + 0.5, width: 1, voiFunction: "LINEAR_EXACT" };
  return { center: (low + high) / 2, width: high - low, voiFunction: "LINEAR_EXACT" };
}

/** Between two values where it falls between them. */
export function percentile(sorted: Float64Array, percent: number): number {
  const at = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(at);
  const value = sorted[below]!;
  return value + ((sorted[below + 1] ?? value) - value) * (at - below);
}

/** Rows and columns enough to judge a frame by. */
const ENOUGH = 256;

/** Some values of a frame, without what `isLeftOut` names. */
export function thinned(
  values: ArrayLike<number>,
  rows: number,
  columns: number,
  isLeftOut: (value: number) => boolean,
): Float64Array {
  const [down, across] = [Math.max(1, Math.floor(rows / ENOUGH)), Math.max(1, Math.floor(columns / ENOUGH))];
  const kept = new Float64Array(Math.ceil(rows / down) * Math.ceil(columns / across));
  let count = 0;
  for (let row = 0; row < rows; row += down)
    for (let column = 0; column < columns; column += across) {
      const value = values[row * columns + column]!;
      if (!isLeftOut(value)) kept[count++] = value;
    }
  return kept.subarray(0, count);
}
