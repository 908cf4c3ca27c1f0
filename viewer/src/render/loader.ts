/**
 * Loads one frame: as stored and decoded here where this device can; else decoded by the server, with all values; and
 * where neither gives values, as a picture that the server renders. The last costs window and level, never the image.
 */
import type { Types } from "@cornerstonejs/core";
import { createImage } from "@cornerstonejs/dicom-image-loader";
import { renderedFrame, type PictureSize } from "../api/renditions";
import { ApiError, isAbsent } from "../api/http";
import type { FrameBytes } from "../api/frames";
import { whyNotGiven } from "../dicom/allocation";
import type { FrameDescription } from "../dicom/frame";
import { isHtj2k, isWhole } from "../dicom/htj2k";
import { hasPresentationLut, isPartlyColour } from "../dicom/presented";
import { halved } from "../dicom/reduction";
import { floatValues } from "../dicom/storedpixels";
import { isStreamOf } from "../dicom/stream";
import { EXPLICIT_LITTLE } from "../dicom/syntaxes";
import { isOutOfMemory } from "../state/memory";
import { frameHalvings, pictureHalvings } from "./budget";
import { colourImage, readableCanvas, rgbImage } from "./colourimage";
import { early, type OnEarly } from "./early";
import { graded } from "./graded";
import { frameImage, plainImage } from "./greyimage";
import { chosenWindow, framePath, isRendered, knownFrame, needsServer, noteRendered, noteResized, storedSyntax } from "./imageids";
import { decodedFrameOf, frameOf } from "./transport";

export interface Options extends Record<string, unknown> {
  /** Nobody waits for it yet. */
  readonly ahead?: boolean;
  /** Is given the picture in small, in the size of the whole, where that can be had from the first bytes. */
  readonly onEarly?: OnEarly | undefined;
}

export function loadFrame(imageId: string, options: Options = {}): { promise: Promise<Types.IImage>; cancelFn: () => void } {
  const cancelling = new AbortController();
  return { promise: load(imageId, options, cancelling.signal), cancelFn: () => cancelling.abort() };
}

async function load(imageId: string, options: Options, signal: AbortSignal): Promise<Types.IImage> {
  const found = knownFrame(imageId);
  if (isRendered(imageId) || onlyServerShows(imageId) || (found && frameHalvings(found.frame) > 0)) return await loadRendered(imageId, signal);
  try {
    return await valued(imageId, options, signal);
  } catch (error) {
    // Nobody wants it any more, or nobody is there to render it.
    if (signal.aborted || (error instanceof ApiError && error.status === 0)) throw error;
    // Once there is room it may be had with its values.
    if (isOutOfMemory(error)) throw error;
    return await loadRendered(imageId, signal).catch((second: unknown) => {
      // That nothing is there to be rendered is told better by who was asked for it.
      throw second instanceof Error && !isAbsent(error) ? second : error;
    });
  }
}

/** The frame with its values, whoever decodes it. */
async function valued(imageId: string, { onEarly, ...options }: Options, signal: AbortSignal): Promise<Types.IImage> {
  const onBeginning = onEarly && early(imageId, onEarly, signal);
  const asStored = () => frameOf(imageId, options.ahead !== true, signal, onBeginning);
  const found = knownFrame(imageId);
  if (!found) return await image(imageId, await asStored(), options);
  const { frame } = found;
  const isGrey = frame.samplesPerPixel === 1;
  const byServer = () => decodedFrameOf(imageId, options.ahead !== true, signal);
  if (frame.floatBits !== undefined) {
    const values = floatValues((await byServer()).bytes, frame, true);
    if (!values) throw new Error("its numbers are larger than a picture here can hold");
    return await graded(frameImage(imageId, frame, values), found);
  }
  const givenBy = async (read: () => Promise<FrameBytes>) => {
    const unscaled = async () => await image(imageId, await read(), { ...options, preScale: { enabled: false } });
    // Its own words, since the loader notes in them what it did.
    return await graded(await image(imageId, await read(), { ...options }), found, unscaled);
  };
  // In which form a frame comes is only known when it has come; those of one series may differ.
  const isKnown = isGrey && needsServer(storedSyntax(imageId) ?? "");
  const first = isKnown ? await byServer() : await asStored();
  let waiting: FrameBytes | undefined = first;
  const asFirst = async () => {
    const given = waiting ?? (await (isKnown ? byServer() : frameOf(imageId, options.ahead !== true, signal)));
    waiting = undefined; // workers keep what they are given
    return given;
  };
  if (!needsServer(first.transferSyntaxUid)) {
    try {
      return await givenBy(asFirst);
    } catch (error) {
      if (signal.aborted || !isGrey || first.transferSyntaxUid === EXPLICIT_LITTLE) throw error;
    }
  }
  if (isGrey) return await givenBy(byServer);
  // What the server decodes of lossy JPEG is red, green and blue, pixel by pixel.
  const { bytes } = await byServer();
  if (frame.samplesPerPixel !== 3 || bytes.length !== frame.rows * frame.columns * 3) throw new Error(UNLIKE_HEADER);
  return rgbImage(imageId, bytes, frame.columns, frame.rows);
}

const UNLIKE_HEADER = "not as many pixels as the header says";

async function image(imageId: string, { bytes, transferSyntaxUid }: FrameBytes, options: Options): Promise<Types.IImage> {
  const frame = knownFrame(imageId)?.frame;
  if (frame && !isStreamOf(transferSyntaxUid, bytes, frame)) throw new Error("no stream of this image");
  if (isHtj2k(transferSyntaxUid) && !isWhole(bytes)) throw new Error("the stream ends before its picture does");
  const plain = frame && options["preScale"] === undefined ? plainImage(imageId, frame, { bytes, transferSyntaxUid }) : undefined;
  if (plain) return plain;
  const how = { ...options, transferPixelData: true };
  const made = (await createImage(imageId, bytes as never, transferSyntaxUid, how as never)) as Types.IImage;
  if (frame && made.getPixelData().length !== frame.rows * frame.columns * made.numberOfComponents) throw new Error(UNLIKE_HEADER);
  return made;
}

/** Colour tables live in bulk data; single bits and deep colour have no place in a texture here. */
function onlyServerShows(imageId: string): boolean {
  const found = knownFrame(imageId);
  if (!found) return false;
  const { frame, instance } = found;
  if (isPartlyColour(instance) || hasPresentationLut(instance)) return true;
  const deepColour = frame.samplesPerPixel > 1 && frame.bitsAllocated > 8;
  return frame.photometricInterpretation === "PALETTE COLOR" || frame.bitsAllocated === 1 || deepColour;
}

/** Undefined where it can be had as large as it is. */
function sizeWanted(imageId: string): PictureSize | undefined {
  const frame = knownFrame(imageId)?.frame;
  const halvings = frame ? pictureHalvings(frame) : 0;
  return frame && halvings > 0 ? { width: halved(frame.columns, halvings), height: halved(frame.rows, halvings) } : undefined;
}

async function loadRendered(imageId: string, signal: AbortSignal): Promise<Types.IImage> {
  const wish = { size: sizeWanted(imageId), window: chosenWindow(imageId) };
  const bitmap = await bitmapOf(await renderedFrame(framePath(imageId), wish, signal), wish.size ?? knownFrame(imageId)?.frame);
  const { width, height } = bitmap;
  const [canvas, context] = readableCanvas(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  noteRendered(imageId);
  if (knownFrame(imageId)) noteResized(imageId, { columns: width, rows: height });
  return colourImage(imageId, withoutAlpha(context.getImageData(0, 0, width, height).data), canvas);
}

const BYTES_ON_CANVAS = 4;

async function bitmapOf(picture: Blob, size: PictureSize | FrameDescription | undefined): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(picture);
  } catch (error) {
    if (!size) throw error;
    const [width, height] = "width" in size ? [size.width, size.height] : [size.columns, size.rows];
    throw whyNotGiven(width * height * BYTES_ON_CANVAS, error);
  }
}

function withoutAlpha(rgba: Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from]!;
    rgb[to + 1] = rgba[from + 1]!;
    rgb[to + 2] = rgba[from + 2]!;
  }
  return rgb;
}
