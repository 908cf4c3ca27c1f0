/**
 * Gray values of uncompressed frames, in the memory in which the frame came: nothing is copied, so that it costs less
 * here than what handing the frame to a worker and taking it back would.
 */
import type { FrameDescription } from "./frame";
import { storedRange } from "./storedbits";

export interface PlainValues {
  /** After the rescale of the frame. */
  readonly values: Uint8Array | Uint16Array | Int16Array;
  readonly least: number;
  readonly greatest: number;
}

type Words = Uint8Array | Uint16Array | Int16Array;

/** Least and greatest of 16 bits, without a sign and with one. */
const UNSIGNED = [0, 2 ** 16 - 1] as const;
const SIGNED = [-(2 ** 15), 2 ** 15 - 1] as const;

/**
 * Takes `bytes` over, little endian. Undefined where the values are no whole numbers of as many bits as were stored, or
 * there are more or fewer than the header says.
 */
export function plainValues(bytes: Uint8Array, frame: FrameDescription): PlainValues | undefined {
  const { rows, columns, bitsAllocated, rescaleSlope: slope, rescaleIntercept: intercept } = frame;
  const isWide = bitsAllocated === 16;
  if (!isWide && (bitsAllocated !== 8 || frame.pixelRepresentation === 1)) return undefined;
  if (bytes.length !== (rows * columns * bitsAllocated) / 8 || !Number.isInteger(slope) || !Number.isInteger(intercept)) return undefined;
  const stored = isWide ? wordsOf(bytes, frame) : bytes;
  const scaled = (ends: readonly [number, number]) => ends.map((end) => end * slope + intercept).sort((a, b) => a - b);
  const [least = 0, greatest = 0] = scaled(rangeOf(stored));
  const [lowest = 0] = scaled(storedRange(frame));
  // Values of one series are of one type where they can be.
  const isSigned = least < 0 || (lowest < 0 && greatest <= SIGNED[1]);
  const [first, last] = !isWide ? [0, 255] : isSigned ? SIGNED : UNSIGNED;
  if (least < first || greatest > last) return undefined;
  const Values = isSigned ? Int16Array : Uint16Array;
  const values = isWide ? new Values(stored.buffer as ArrayBuffer, stored.byteOffset, stored.length) : stored;
  if (slope !== 1 || intercept !== 0) for (let at = 0; at < values.length; at += 1) values[at] = stored[at]! * slope + intercept;
  return { values, least, greatest };
}

/** The sign is that of Bits Stored; High Bit is the last of them. */
function wordsOf(bytes: Uint8Array, { pixelRepresentation, bitsStored }: FrameDescription): Uint16Array | Int16Array {
  // Words lie at even places.
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  if (pixelRepresentation !== 1) return new Uint16Array(buffer, byteOffset, byteLength / 2);
  const words = new Int16Array(buffer, byteOffset, byteLength / 2);
  const above = 32 - bitsStored;
  if (bitsStored < 16) for (let at = 0; at < words.length; at += 1) words[at] = (words[at]! << above) >> above;
  return words;
}

function rangeOf(words: Words): [number, number] {
  let [least, greatest] = [words[0] ?? 0, words[0] ?? 0];
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at]!;
    if (word < least) least = word;
    else if (word > greatest) greatest = word;
  }
  return [least, greatest];
}
