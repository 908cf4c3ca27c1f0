/** Mask subtraction: what came into the vessels, without what was there before (PS3.3 C.7.6.10), as the server does it. */
import { TAG, items, number, numbers, text, type DicomObject } from "./model";

export interface Subtraction {
  /** The frames, from 1, whose mean is the mask. */
  readonly masks: readonly number[];
  /** By how many rows and columns the mask is moved first. */
  readonly shift: readonly [down: number, right: number];
}

/** Runs have a handful of frames before the contrast comes; each of them is fetched. */
const MOST_MASKS = 32;

/** What the image recommends to subtract from a frame, from 1; undefined where nothing. */
export function subtractionOf(instance: DicomObject, frame: number): Subtraction | undefined {
  const count = number(instance, TAG.numberOfFrames) ?? 1;
  for (const item of items(instance, TAG.maskSubtractionSequence)) {
    const range = numbers(item, TAG.applicableFrameRange);
    const isMeant = (first: number, at: number) => at % 2 === 0 && first <= frame && frame <= (range[at + 1] ?? -1);
    if (range.length > 1 && !range.some(isMeant)) continue;
    const masks = maskFrames(item, frame).filter((mask) => mask >= 1 && mask <= count);
    const [down = 0, right = 0] = numbers(item, TAG.maskSubPixelShift);
    if (masks.length > 0) return { masks, shift: [down, right] };
  }
  return undefined;
}

/** Whether an image recommends subtraction for any of its frames. */
export function canSubtract(instance: DicomObject | undefined): boolean {
  return items(instance, TAG.maskSubtractionSequence).some((item) =>
    ["AVG_SUB", "TID"].includes(text(item, TAG.maskOperation)?.toUpperCase() ?? ""),
  );
}

function maskFrames(item: DicomObject, frame: number): readonly number[] {
  const operation = text(item, TAG.maskOperation)?.toUpperCase();
  if (operation === "AVG_SUB") return numbers(item, TAG.maskFrameNumbers).slice(0, MOST_MASKS);
  const offset = number(item, TAG.tidOffset) ?? 1;
  return operation === "TID" && offset !== 0 && frame > offset ? [frame - offset] : [];
}

/** The frame less the mean of its masks, moved; all of the same rows and columns. */
export function subtracted(
  frame: ArrayLike<number>,
  masks: readonly ArrayLike<number>[],
  rows: number,
  columns: number,
  [down, right]: Subtraction["shift"],
): Float32Array<ArrayBuffer> {
  const mean = new Float32Array(rows * columns);
  for (const mask of masks) for (let at = 0; at < mean.length; at += 1) mean[at] = mean[at]! + mask[at]! / masks.length;
  const moved = down === 0 && right === 0 ? mean : shifted(mean, rows, columns, down, right);
  return Float32Array.from(moved, (value, at) => frame[at]! - value);
}

/** Between pixels linearly; the edge is repeated. */
function shifted(values: Float32Array, rows: number, columns: number, down: number, right: number): Float32Array {
  const [wholeDown, wholeRight] = [Math.floor(down), Math.floor(right)];
  const [partDown, partRight] = [down - wholeDown, right - wholeRight];
  const at = (row: number, column: number) =>
    values[Math.min(rows - 1, Math.max(0, row)) * columns + Math.min(columns - 1, Math.max(0, column))]!;
  return Float32Array.from(values, (_, index) => {
    const [row, column] = [Math.floor(index / columns) - wholeDown, (index % columns) - wholeRight];
    const above = at(row, column) * (1 - partRight) + at(row, column - 1) * partRight;
    const below = at(row - 1, column) * (1 - partRight) + at(row - 1, column - 1) * partRight;
    return above * (1 - partDown) + below * partDown;
  });
}
