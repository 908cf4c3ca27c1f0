/**
 * Makes of a decoded gray frame what the display pipeline of the standard asks for (PS3.4 N.2), as the server does:
 * stored bits, Modality LUT, the window or table that is shown first.
 *
 * The loader scales in its workers; only what it cannot do is done anew here from the stored values.
 */
import type { Types } from "@cornerstonejs/core";
import { bytesOf } from "../api/bulk";
import type { FrameDescription } from "../dicom/frame";
import { lookUp, lookupTable, type LookupTable } from "../dicom/lut";
import { TAG, text, type DicomObject } from "../dicom/model";
import { overlaysOf, type Mask, type OverlayPlane } from "../dicom/planes";
import { storedRange, storedValue } from "../dicom/storedbits";
import { defaultVoi, functionFor, isWholeValued, rangeOf, thinned, type VoiFunction } from "../dicom/voi";
import { greyImage } from "./greyimage";

interface Aside {
  /** Shown until somebody sets a window. */
  readonly voiTable?: LookupTable | undefined;
  /** Overlays that stood in bits of the pixels, by group. */
  readonly planes: ReadonlyMap<number, Mask>;
}

/** What goes with an image beside its values; it goes when the cache lets go of the image. */
const asides = new WeakMap<object, Aside>();

/** The VOI LUT that an image is shown through: its own, for as long as nobody has set a window. */
export function tableShown(image: Types.IImage, range: Types.VOIRange | undefined): LookupTable | undefined {
  const table = asides.get(image)?.voiTable;
  if (!table || !range) return undefined;
  const own = rangeOf(Number(image.windowCenter), Number(image.windowWidth), "LINEAR");
  return range.lower === own.lower && range.upper === own.upper ? table : undefined;
}

/** The table in place of a first window. */
export const voiTableOf = (image: object): LookupTable | undefined => asides.get(image)?.voiTable;

export const embeddedPlane = (image: object, group: number): Mask | undefined => asides.get(image)?.planes.get(group);

export interface Source {
  readonly instance: DicomObject;
  readonly frame: FrameDescription;
  readonly number: number;
}

/** `unscaled` decodes the frame once more, without rescale; floating point has no stored bits that would ask for that. */
export async function graded(
  image: Types.IImage,
  { instance, frame, number }: Source,
  unscaled?: () => Promise<Types.IImage>,
): Promise<Types.IImage> {
  if (!unscaled || image.color || frame.bitsAllocated > 16) return withVoi(image, instance, frame, undefined, new Map());
  const embedded = overlaysOf(instance, number, frame).filter(({ data }) => !data);
  const modality = await tableOf(frame.modalityLut, frame.pixelRepresentation === 1);
  const isOdd = frame.highBit > frame.bitsStored - 1 || embedded.length > 0 || modality !== undefined || hasStrayBits(image, frame);
  const isSigned = frame.pixelRepresentation === 1 || frame.rescaleIntercept < 0;
  const voiTable = await tableOf(frame.voiLuts[0], isSigned);
  if (!isOdd) return withVoi(image, instance, frame, voiTable, new Map());
  const stored = await unscaled();
  const planes = planesIn(stored, embedded);
  return withVoi(fromStored(stored, frame, modality), instance, frame, voiTable, planes);
}

export async function tableOf(item: DicomObject | undefined, isSigned: boolean): Promise<LookupTable | undefined> {
  return item && lookupTable(item, await bytesOf(item[TAG.lutData]), isSigned);
}

/** Whether there are values that Bits Stored cannot hold. */
function hasStrayBits({ minPixelValue, maxPixelValue, preScale }: Types.IImage, frame: FrameDescription): boolean {
  if (frame.bitsStored >= frame.bitsAllocated) return false;
  const [slope, intercept] = preScale?.scaled ? [frame.rescaleSlope, frame.rescaleIntercept] : [1, 0];
  const ends = storedRange(frame).map((value) => value * slope + intercept);
  return minPixelValue < Math.min(...ends) - TOLERANCE || maxPixelValue > Math.max(...ends) + TOLERANCE;
}

/** Of scaled values, which are kept with 24 bits. */
const TOLERANCE = 0.5;

function planesIn(image: Types.IImage, planes: readonly OverlayPlane[]): ReadonlyMap<number, Mask> {
  const words = image.getPixelData();
  return new Map(planes.map(({ group, bit }) => [group, Uint8Array.from(words, (word) => (word >> bit) & 1)]));
}

function fromStored(image: Types.IImage, frame: FrameDescription, table: LookupTable | undefined): Types.IImage {
  const words = image.getPixelData();
  const value = table
    ? (word: number) => lookUp(table, storedValue(frame, word))
    : (word: number) => storedValue(frame, word) * frame.rescaleSlope + frame.rescaleIntercept;
  const scalarData = table ? Uint16Array.from(words, value) : Float32Array.from(words, value);
  return greyImage(image, scalarData);
}

function withVoi(
  image: Types.IImage,
  instance: DicomObject,
  frame: FrameDescription,
  voiTable: LookupTable | undefined,
  planes: ReadonlyMap<number, Mask>,
): Types.IImage {
  const shown: { windowCenter: unknown; windowWidth: unknown; voiLUTFunction: unknown } = image;
  const set = (center: number, width: number, voiFunction: VoiFunction) => {
    // A width of one is a threshold, which has no room between its ends.
    const isThreshold = voiFunction !== "LINEAR_EXACT" && width <= 1;
    [shown.windowCenter, shown.windowWidth, shown.voiLUTFunction] = [center, isThreshold ? 1.001 : width, voiFunction];
  };
  const [first] = frame.windows;
  if (voiTable) set(voiTable.first + voiTable.entries.length / 2, voiTable.entries.length, "LINEAR");
  else if (!image.color && first) set(first.center, first.width, functionFor(first.width, frame.voiFunction, isWhole(image, frame)));
  else if (!image.color) {
    const { center, width, voiFunction } = guessed(image, instance, frame);
    set(center, width, voiFunction);
  }
  asides.set(image, { voiTable, planes });
  return image;
}

/** Whether the values are whole numbers. */
function isWhole(image: Types.IImage, frame: FrameDescription): boolean {
  const isOfWords = frame.modalityLut !== undefined || (frame.bitsAllocated <= 16 && image.getPixelData().length > 0);
  return isWholeValued(frame) && isOfWords;
}

function guessed(image: Types.IImage, instance: DicomObject, frame: FrameDescription) {
  const isScaled = image.preScale?.scaled === true;
  const scaled = (value: number) => (isScaled ? value : value * frame.rescaleSlope + frame.rescaleIntercept);
  const [first, last] = frame.padding?.map((value) => value * frame.rescaleSlope + frame.rescaleIntercept) ?? [];
  const isPadding = (value: number) =>
    first !== undefined && last !== undefined && scaled(value) >= Math.min(first, last) && scaled(value) <= Math.max(first, last);
  const pixels = image.getPixelData();
  const without = thinned(pixels, image.rows, image.columns, isPadding);
  const values = (without.length > 0 ? without : thinned(pixels, image.rows, image.columns, () => false)).map(scaled);
  const isPlain = !frame.modalityLut && frame.rescaleSlope === 1 && frame.rescaleIntercept === 0;
  const modality = text(instance, TAG.modality) ?? "";
  const isAsStored = isPlain && frame.pixelRepresentation === 0 && frame.bitsAllocated <= 16 && modality !== "SEG";
  return defaultVoi(values, {
    modality,
    isHounsfield: frame.rescaleType === "HU" || frame.rescaleIntercept < 0,
    bitsStored: isAsStored ? frame.bitsStored : undefined,
  });
}
