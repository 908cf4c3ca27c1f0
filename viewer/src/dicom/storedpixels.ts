/** Uncompressed frames as the bytes hold them, and as colour pictures where no texture has a place for them. */
import { DicomError } from "./bytes";
import type { FrameDescription, Window } from "./frame";
import { TAG } from "./model";

/** Where one frame lies in native Pixel Data; single bits may begin within a byte (PS3.5 8.1.1). */
export interface FramePlace {
  readonly offset: number;
  readonly length: number;
  /** Bits of the first byte that belong to the frame before. */
  readonly skippedBits: number;
}

/** `number` from 1. `bytes` is the whole value's length. Throws DicomError where it does not hold the frame. */
export function placeOfFrame(frame: FrameDescription, number: number, bytes: number): FramePlace {
  const samples = frame.photometricInterpretation === "YBR_FULL_422" ? 2 : frame.samplesPerPixel;
  const bits = frame.rows * frame.columns * samples * frame.bitsAllocated;
  const start = bits * (number - 1);
  const offset = Math.floor(start / 8);
  const length = Math.ceil((start + bits) / 8) - offset;
  if (bits === 0 || offset + length > bytes) throw new DicomError("cut", "7FE00010", offset);
  return { offset, length, skippedBits: start % 8 };
}

/** 8-bit pixels that were written as big-endian words: neighbours change places. */
export function swappedPairs(bytes: Uint8Array): Uint8Array {
  const swapped = bytes.slice();
  for (let at = 0; at + 1 < swapped.length; at += 2) [swapped[at], swapped[at + 1]] = [swapped[at + 1]!, swapped[at]!];
  return swapped;
}

/** One byte a pixel, 0 or 255, from single bits, the first one lowest. */
export function unpackedBits(bytes: Uint8Array, count: number, skippedBits: number): Uint8Array {
  const grey = new Uint8Array(count);
  for (let at = 0; at < count; at += 1) {
    const bit = at + skippedBits;
    grey[at] = (bytes[bit >> 3]! >> (bit & 7)) & 1 ? 255 : 0;
  }
  return grey;
}

/**
 * The numbers of a frame of Float or Double Float Pixel Data after its rescale, as 32-bit ones; undefined where these
 * cannot hold one of them. Throws DicomError where the bytes do not hold the frame.
 */
export function floatValues(bytes: Uint8Array, frame: FrameDescription, littleEndian: boolean): Float32Array<ArrayBuffer> | undefined {
  const count = frame.rows * frame.columns;
  const size = (frame.floatBits ?? 32) / 8;
  if (bytes.byteLength < count * size) throw new DicomError("cut", size === 4 ? TAG.floatPixelData : TAG.doubleFloatPixelData);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(count);
  for (let at = 0; at < count; at += 1) {
    const stored = size === 4 ? view.getFloat32(at * 4, littleEndian) : view.getFloat64(at * 8, littleEndian);
    const value = stored * frame.rescaleSlope + frame.rescaleIntercept;
    values[at] = value;
    if (Number.isFinite(value) && !Number.isFinite(values[at]!)) return undefined;
  }
  return values;
}

export function rgbOfGrey(grey: ArrayLike<number>): Uint8Array {
  const rgb = new Uint8Array(grey.length * 3);
  for (let at = 0; at < grey.length; at += 1) rgb.fill(grey[at]!, at * 3, at * 3 + 3);
  return rgb;
}

/** Numbers as grey, by a window (PS3.3 C.11.2.1.3.2), or from the least to the greatest. */
export function windowed(values: ArrayLike<number>, by: Window | undefined): Uint8Array {
  let low = Infinity;
  let high = -Infinity;
  if (by) [low, high] = [by.center - by.width / 2, by.center + by.width / 2];
  else
    for (let at = 0; at < values.length; at += 1) {
      if (!Number.isFinite(values[at]!)) continue;
      low = Math.min(low, values[at]!);
      high = Math.max(high, values[at]!);
    }
  const scale = high > low ? 255 / (high - low) : 0;
  return Uint8Array.from({ length: values.length }, (_, at) => Math.max(0, Math.min(255, Math.round((values[at]! - low) * scale) || 0)));
}

/** Colour of 16 bits as colour of 8; planes one after another (`planar`) or pixel by pixel. */
export function rgbOfDeep(bytes: Uint8Array, bitsStored: number, planar: boolean, littleEndian: boolean): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples = Math.floor(bytes.byteLength / 2);
  const pixels = Math.floor(samples / 3);
  const shift = Math.max(0, bitsStored - 8);
  const rgb = new Uint8Array(pixels * 3);
  for (let at = 0; at < rgb.length; at += 1) {
    const from = planar ? (at % 3) * pixels + Math.floor(at / 3) : at;
    rgb[at] = view.getUint16(from * 2, littleEndian) >> shift;
  }
  return rgb;
}

/** YBR_FULL_422 (PS3.3 C.7.6.3.1.2): two luminances share their colour differences. */
export function rgbOfHalvedColour(bytes: Uint8Array): Uint8Array {
  const pairs = Math.floor(bytes.length / 4);
  const rgb = new Uint8Array(pairs * 6);
  for (let pair = 0; pair < pairs; pair += 1) {
    const [first, second, blue, red] = bytes.subarray(pair * 4, pair * 4 + 4);
    for (const [index, luminance] of [first!, second!].entries()) {
      const at = pair * 6 + index * 3;
      rgb[at] = byte(luminance + 1.402 * (red! - 128));
      rgb[at + 1] = byte(luminance - 0.344136 * (blue! - 128) - 0.714136 * (red! - 128));
      rgb[at + 2] = byte(luminance + 1.772 * (blue! - 128));
    }
  }
  return rgb;
}

const byte = (value: number) => Math.max(0, Math.min(255, Math.round(value)));

/** One of the three tables of PALETTE COLOR (PS3.3 C.7.6.3.1.5): entries as 8-bit values. */
export interface Palette {
  readonly first: number;
  readonly entries: Uint8Array;
}

/** `descriptor` is entries, first value, bits. Throws DicomError for a table that is shorter than it says. */
export function paletteOf(descriptor: readonly number[], data: Uint8Array, littleEndian: boolean): Palette {
  const [said = 0, first = 0, bits = 16] = descriptor;
  const count = said === 0 ? 65536 : said;
  const isBytes = data.length < count * 2;
  if (data.length < count) throw new DicomError("cut", "00281201");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const entries = Uint8Array.from({ length: count }, (_, at) =>
    isBytes ? data[at]! : bits <= 8 ? view.getUint16(at * 2, littleEndian) & 0xff : view.getUint16(at * 2, littleEndian) >> 8,
  );
  return { first, entries };
}

/** A segmented table (PS3.3 C.7.9.2) as a plain one: discrete, linear and indirect segments. Throws DicomError. */
export function expandedSegments(words: Uint16Array, most = 65536): Uint16Array {
  const values: number[] = [];
  const run = (from: number, count: number, depth: number): void => {
    let at = from;
    for (let left = count; left > 0 && at + 1 < words.length; left -= 1) {
      const [kind, length] = [words[at]!, words[at + 1]!];
      if (values.length + length > most) throw new DicomError("bound", "00281221");
      if (kind === 0) {
        values.push(...words.subarray(at + 2, at + 2 + length));
        at += 2 + length;
      } else if (kind === 1) {
        const [start, end] = [values.at(-1) ?? 0, words[at + 2] ?? 0];
        for (let step = 1; step <= length; step += 1) values.push(Math.round(start + ((end - start) * step) / length));
        at += 3;
      } else if (kind === 2 && depth === 0) {
        const place = ((words[at + 3] ?? 0) * 0x10000 + (words[at + 2] ?? 0)) / 2;
        run(place, length, 1);
        at += 4;
      } else throw new DicomError("broken", "00281221");
    }
  };
  run(0, Infinity, 0);
  return Uint16Array.from(values);
}

export function coloured(values: ArrayLike<number>, [red, green, blue]: readonly [Palette, Palette, Palette]): Uint8Array {
  const rgb = new Uint8Array(values.length * 3);
  const pick = ({ first, entries }: Palette, value: number) => entries[Math.max(0, Math.min(entries.length - 1, value - first))]!;
  for (let at = 0; at < values.length; at += 1) {
    rgb[at * 3] = pick(red, values[at]!);
    rgb[at * 3 + 1] = pick(green, values[at]!);
    rgb[at * 3 + 2] = pick(blue, values[at]!);
  }
  return rgb;
}
