/**
 * Loads one frame from a file on this device: its bytes are cut out of the file and decoded by the same workers as
 * frames from the server. What no texture has a place for (palettes, single bits, deep colour) becomes a picture here,
 * as the server makes one of it.
 */
import type { Types } from "@cornerstonejs/core";
import { createImage } from "@cornerstonejs/dicom-image-loader";
import { DicomError } from "../dicom/bytes";
import { numberOfFrames, type FrameDescription } from "../dicom/frame";
import { codeStream, frameSpans, offsetsOf, type Span } from "../dicom/fragments";
import { inflated } from "../dicom/inflate";
import { readLocalReference, type LocalReference } from "../dicom/localref";
import { TAG, items, numbers, type DicomElement, type DicomObject } from "../dicom/model";
import { hasPresentationLut, isPartlyColour, presentedGreys, supplemented } from "../dicom/presented";
import { storedValue } from "../dicom/storedbits";
import {
  coloured,
  expandedSegments,
  floatValues,
  paletteOf,
  placeOfFrame,
  rgbOfDeep,
  rgbOfGrey,
  rgbOfHalvedColour,
  swappedPairs,
  unpackedBits,
  windowed,
  type Palette,
} from "../dicom/storedpixels";
import {
  DEFLATED,
  DEFLATED_FRAMES,
  ENCAPSULATED_UNCOMPRESSED,
  EXPLICIT_BIG,
  EXPLICIT_LITTLE,
  IMPLICIT_LITTLE,
  JPEG_BASELINE,
  JPEG_EXTENDED,
} from "../dicom/syntaxes";
import { voiFunctionOf } from "../dicom/voi";
import { t } from "../i18n/language";
import { bytesOf } from "../api/bulk";
import { contentOf, localBytes } from "../api/localfiles";
import { frameHalvings, pictureHalvings } from "./budget";
import { pictureImage } from "./colourimage";
import { graded, tableOf, voiTableOf, type Source } from "./graded";
import { frameImage, plainImage } from "./greyimage";
import { halvedImage } from "./halving";
import { knownFrame, noteResized, transferSyntaxOf, valuesIdOf } from "./imageids";

type Options = Record<string, unknown>;

export function loadLocalFrame(imageId: string, options: Options = {}): { promise: Promise<Types.IImage> } {
  return { promise: load(imageId, options).then((image) => fitted(imageId, image)).catch(inWords) };
}

/** Nobody is there to make it smaller than this device itself. */
function fitted(imageId: string, image: Types.IImage): Types.IImage {
  const { frame } = knownFrame(imageId)!;
  const halvings = image.color ? pictureHalvings(frame) : frameHalvings(frame);
  if (halvings === 0) return image;
  const small = halvedImage(imageId, image, frame, halvings);
  const by = 2 ** halvings;
  noteResized(imageId, small, { x: by, y: by });
  return small;
}

/** Why a frame of a file cannot be had, in words for whoever looks at it. */
class FrameProblem extends Error {
  constructor(
    readonly words: string,
    cause: Error,
  ) {
    super(cause.message);
  }
}

export function wordsOf(error: unknown): string | undefined {
  return error instanceof FrameProblem ? error.words : undefined;
}

function inWords(error: unknown): never {
  if (error instanceof DicomError) throw new FrameProblem(t().local.problems[error.why], error);
  if (error instanceof DOMException) throw new FrameProblem(t().local.problems.unreachable, error);
  throw error;
}

interface Pixels {
  readonly element: DicomElement;
  readonly reference: LocalReference;
}

function pixelsOf(object: DicomObject): Pixels {
  for (const tag of [TAG.pixelData, TAG.floatPixelData, TAG.doubleFloatPixelData]) {
    const element = object[tag];
    const reference = readLocalReference(element?.BulkDataURI);
    if (element && reference) return { element, reference };
  }
  throw new DicomError("cut", "7FE00010");
}

async function load(imageId: string, options: Options): Promise<Types.IImage> {
  const { instance, frame, number } = knownFrame(imageId)!;
  const pixels = pixelsOf(instance);
  const stored = transferSyntaxOf(imageId) ?? EXPLICIT_LITTLE;
  const littleEndian = stored !== EXPLICIT_BIG;
  if (frame.floatBits !== undefined) return await ofFloats(imageId, pixels, stored);
  const picture = (rgb: Uint8Array) => pictureImage(imageId, rgb, frame.columns, frame.rows);
  if (pixels.reference.length === undefined) {
    const stream = () => codedFrame(instance, pixels.reference, number, stored);
    // Of 8 bits it is decoded as the baseline is, whose decoder knows colours.
    const isSmall = stored === JPEG_EXTENDED && frame.bitsAllocated === 8;
    const syntax = NATIVE.has(stored) ? EXPLICIT_LITTLE : isSmall ? JPEG_BASELINE : stored;
    if (frame.photometricInterpretation !== "PALETTE COLOR") return await decoded(imageId, stream, syntax, options);
    const values = await image(valuesIdOf(imageId), await stream(), syntax, { ...options, preScale: { enabled: false } });
    return picture(coloured(values.getPixelData(), await palettes(instance, littleEndian)));
  }
  const { bytes, skippedBits } = await native(frame, pixels, number, littleEndian);
  if (frame.bitsAllocated === 1) return picture(rgbOfGrey(unpackedBits(bytes, frame.rows * frame.columns, skippedBits)));
  if (frame.photometricInterpretation === "PALETTE COLOR")
    return picture(coloured(wholeNumbers(bytes, frame, littleEndian), await palettes(instance, littleEndian)));
  if (frame.samplesPerPixel > 1 && frame.bitsAllocated === 16)
    return picture(rgbOfDeep(bytes, frame.bitsStored, frame.planarConfiguration === 1, littleEndian));
  if (frame.photometricInterpretation === "YBR_FULL_422") return picture(rgbOfHalvedColour(bytes));
  let first: Uint8Array | undefined = bytes;
  const read = async () => {
    const given = first ?? (await native(frame, pixels, number, littleEndian)).bytes;
    first = undefined;
    return given;
  };
  return await decoded(imageId, read, littleEndian ? EXPLICIT_LITTLE : EXPLICIT_BIG, options);
}

/** Syntaxes whose frames are uncompressed once they are taken out of their fragments. */
const NATIVE: ReadonlySet<string> = new Set([
  IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED,
]);

/** By the workers, and graded as frames from the server are; `read` anew each time, as workers keep what they are given. */
async function decoded(imageId: string, read: () => Promise<Uint8Array>, syntax: string, options: Options): Promise<Types.IImage> {
  const asStored = { ...options, preScale: { enabled: false } };
  const found = knownFrame(imageId)!;
  // Under another id, since one that was made a picture of is said to hold colours from then on, by whomever it is read.
  if (needsMoreThanWindow(found)) return await presented(imageId, await image(valuesIdOf(imageId), await read(), syntax, asStored));
  const unscaled = async () => await image(imageId, await read(), syntax, asStored);
  return await graded(await image(imageId, await read(), syntax, options), found, unscaled);
}

/** Whether a window alone does not say how it is to be seen. */
function needsMoreThanWindow({ instance, frame }: Source): boolean {
  if (frame.samplesPerPixel !== 1) return false;
  return hasPresentationLut(instance) || isSupplemental(instance, frame);
}

function isSupplemental(instance: DicomObject, frame: FrameDescription): boolean {
  return isPartlyColour(instance) && frame.photometricInterpretation === "MONOCHROME2";
}

/** The picture that a file with a Presentation LUT or a supplemental palette asks for. */
async function presented(imageId: string, words: Types.IImage): Promise<Types.IImage> {
  const found = knownFrame(imageId)!;
  const { instance, frame } = found;
  const stored = Float64Array.from(words.getPixelData(), (word) => storedValue(frame, word));
  const made = await graded(words, found, () => Promise.resolve(words));
  const { rescaleSlope: slope, rescaleIntercept: intercept } = frame;
  const values = made.preScale?.scaled === true ? made.getPixelData() : stored.map((value) => value * slope + intercept);
  const greys = await greysOf(made, values, found);
  const [first, last] = frame.padding ?? [Infinity, -Infinity];
  stored.forEach((value, at) => {
    if (value >= first && value <= last) greys[at] = 0;
  });
  const littleEndian = transferSyntaxOf(imageId) !== EXPLICIT_BIG;
  const rgb = isSupplemental(instance, frame)
    ? supplemented(greys, stored, await palettes(instance, littleEndian))
    : rgbOfGrey(greys);
  return pictureImage(imageId, rgb, frame.columns, frame.rows);
}

/** Values as the window or table of their image and a Presentation LUT make them. */
async function greysOf(made: Types.IImage, values: ArrayLike<number>, { instance, frame }: Source): Promise<Uint8Array> {
  const own = { center: Number(made.windowCenter), width: Number(made.windowWidth), voiFunction: voiFunctionOf(made.voiLUTFunction) };
  const table = await tableOf(items(instance, TAG.presentationLutSequence)[0], false);
  return presentedGreys(values, { voi: voiTableOf(made) ?? own, table, inverted: frame.isInverse });
}

async function image(imageId: string, bytes: Uint8Array, syntax: string, options: Options): Promise<Types.IImage> {
  const { frame } = knownFrame(imageId)!;
  const plain = options["preScale"] === undefined ? plainImage(imageId, frame, { bytes, transferSyntaxUid: syntax }) : undefined;
  if (plain) return plain;
  return (await createImage(imageId, bytes as never, syntax, options as never)) as Types.IImage;
}

async function codedFrame(object: DicomObject, reference: LocalReference, number: number, stored: string): Promise<Uint8Array> {
  const packed = await encapsulated(object, reference, number);
  return stored === DEFLATED_FRAMES ? await inflated(new Blob([packed as BlobPart]), 0) : packed;
}

/** The spans of an object's frames are found once. */
const spans = new WeakMap<DicomObject, Promise<readonly Span[]>>();

async function encapsulated(object: DicomObject, reference: LocalReference, number: number): Promise<Uint8Array> {
  const content = await contentOf(reference);
  let found = spans.get(object);
  if (!found) {
    const table = await bytesOf(object[TAG.extendedOffsetTable]);
    found = frameSpans(content, reference.offset, numberOfFrames(object), table.length > 0 ? offsetsOf(table) : []);
    spans.set(object, found);
  }
  const span = (await found)[number - 1];
  if (!span) throw new DicomError("cut", "7FE00010");
  return await codeStream(content, span);
}

interface Native {
  readonly bytes: Uint8Array;
  readonly skippedBits: number;
}

async function native(frame: FrameDescription, pixels: Pixels, number: number, littleEndian: boolean): Promise<Native> {
  const { reference, element } = pixels;
  const place = placeOfFrame(frame, number, reference.length!);
  const bytes = await localBytes({ ...reference, offset: reference.offset + place.offset, length: place.length });
  const isSwapped = !littleEndian && element.vr === "OW" && frame.bitsAllocated === 8;
  return { bytes: isSwapped ? swappedPairs(bytes) : bytes, skippedBits: place.skippedBits };
}

/** Numbers with all their values; a grey picture where they are larger than those of 32 bits. */
async function ofFloats(imageId: string, { element, reference }: Pixels, stored: string): Promise<Types.IImage> {
  const found = knownFrame(imageId)!;
  const { instance, frame, number } = found;
  const isCoded = reference.length === undefined;
  const littleEndian = isCoded || stored !== EXPLICIT_BIG;
  const bitsAllocated = frame.floatBits!;
  const bytes = isCoded
    ? await codedFrame(instance, reference, number, stored)
    : (await native({ ...frame, bitsAllocated }, { element, reference }, number, littleEndian)).bytes;
  const values = floatValues(bytes, frame, littleEndian);
  if (values) {
    const made = await graded(frameImage(imageId, frame, values), found);
    if (!hasPresentationLut(instance)) return made;
    return pictureImage(imageId, rgbOfGrey(await greysOf(made, values, found)), frame.columns, frame.rows);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const doubles = Float64Array.from({ length: bytes.byteLength >> 3 }, (_, at) => view.getFloat64(at * 8, littleEndian));
  return pictureImage(imageId, rgbOfGrey(windowed(doubles, frame.windows[0])), frame.columns, frame.rows);
}

function wholeNumbers(bytes: Uint8Array, frame: FrameDescription, littleEndian: boolean): ArrayLike<number> {
  if (frame.bitsAllocated === 8) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint16Array.from({ length: bytes.byteLength >> 1 }, (_, at) => view.getUint16(at * 2, littleEndian));
}

const PALETTES = [
  { descriptor: "00281101", plain: "00281201", segmented: "00281221" },
  { descriptor: "00281102", plain: "00281202", segmented: "00281222" },
  { descriptor: "00281103", plain: "00281203", segmented: "00281223" },
] as const;

async function palettes(object: DicomObject, littleEndian: boolean): Promise<readonly [Palette, Palette, Palette]> {
  const found = await Promise.all(
    PALETTES.map(async ({ descriptor, plain, segmented }) => {
      const whole = await bytesOf(object[plain]);
      const data = whole.length > 0 ? whole : expanded(await bytesOf(object[segmented]), littleEndian);
      if (data.length === 0) throw new DicomError("cut", plain);
      return paletteOf(numbers(object, descriptor), data, littleEndian);
    }),
  );
  return found as unknown as readonly [Palette, Palette, Palette];
}

function expanded(segments: Uint8Array, littleEndian: boolean): Uint8Array {
  const view = new DataView(segments.buffer, segments.byteOffset, segments.byteLength);
  const words = Uint16Array.from({ length: segments.byteLength >> 1 }, (_, at) => view.getUint16(at * 2, littleEndian));
  const values = new DataView(new ArrayBuffer(2 * 65536));
  const plain = expandedSegments(words);
  plain.forEach((value, at) => values.setUint16(at * 2, value, littleEndian));
  return new Uint8Array(values.buffer, 0, plain.length * 2);
}
