/**
 * Loads one frame: as stored and decoded here where this device can, else as a picture that the
 * server renders. The second way costs window and level, never the image.
 */
import type { Types } from "@cornerstonejs/core";
import { createImage } from "@cornerstonejs/dicom-image-loader";
import { renderedFrame } from "../api/dicomweb";
import { ApiError } from "../api/http";
import { isHtj2k, isWhole } from "../dicom/htj2k";
import { TAG, items, text } from "../dicom/model";
import { isStreamOf } from "../dicom/stream";
import { colourImage, readableCanvas } from "./colourimage";
import { early, type OnEarly } from "./early";
import { graded } from "./graded";
import { framePath, isRendered, knownFrame, needsServer, noteRendered } from "./imageids";
import { frameOf } from "./transport";

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

async function load(imageId: string, { onEarly, ...options }: Options, signal: AbortSignal): Promise<Types.IImage> {
  if (isRendered(imageId) || onlyServerDecodes(imageId)) return await loadRendered(imageId, signal);
  try {
    const found = knownFrame(imageId);
    const image = await decoded(imageId, options, signal, onEarly);
    // Its own words, since the loader notes in them what it did.
    return found ? await graded(image, found, () => decoded(imageId, { ...options, preScale: { enabled: false } }, signal)) : image;
  } catch (error) {
    // Nobody wants it any more, or nobody is there to render it.
    if (signal.aborted || (error instanceof ApiError && error.status === 0)) throw error;
    return await loadRendered(imageId, signal).catch((second: unknown) => {
      throw second instanceof Error ? second : error;
    });
  }
}

/** Float Pixel Data and Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25). */
const FLOATS = ["7FE00008", "7FE00009"];

async function decoded(imageId: string, options: Options, signal: AbortSignal, onEarly?: OnEarly): Promise<Types.IImage> {
  const onBeginning = onEarly && early(imageId, onEarly, signal);
  const { bytes, transferSyntaxUid } = await frameOf(imageId, options.ahead !== true, signal, onBeginning);
  const frame = knownFrame(imageId)?.frame;
  // In which form a frame comes is only known when it has come; those of one series may differ.
  if (needsServer(transferSyntaxUid)) throw new Error("no decoder here is right");
  if (frame && !isStreamOf(transferSyntaxUid, bytes, frame)) throw new Error("no stream of this image");
  if (isHtj2k(transferSyntaxUid) && !isWhole(bytes)) throw new Error("the stream ends before its picture does");
  const how = { ...options, transferPixelData: true };
  const image = (await createImage(imageId, bytes as never, transferSyntaxUid, how as never)) as Types.IImage;
  if (frame && image.getPixelData().length !== frame.rows * frame.columns * image.numberOfComponents) {
    throw new Error("not as many pixels as the header says");
  }
  return image;
}

/** Colour tables live in bulk data; single bits and deep colour have no place in a texture here. */
function onlyServerDecodes(imageId: string): boolean {
  const found = knownFrame(imageId);
  if (!found) return false;
  const { frame, instance } = found;
  const isPartlyColour = ["COLOR", "MIXED"].includes(text(instance, TAG.pixelPresentation) ?? "");
  if (isPartlyColour || items(instance, TAG.presentationLutSequence).length > 0) return true;
  const isFloat = FLOATS.some((tag) => instance[tag] !== undefined);
  if (isFloat) return true;
  const deepColour = frame.samplesPerPixel > 1 && frame.bitsAllocated > 8;
  return frame.photometricInterpretation === "PALETTE COLOR" || frame.bitsAllocated === 1 || deepColour;
}

async function loadRendered(imageId: string, signal: AbortSignal): Promise<Types.IImage> {
  const bitmap = await createImageBitmap(await renderedFrame(framePath(imageId), signal));
  const { width, height } = bitmap;
  const [canvas, context] = readableCanvas(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  noteRendered(imageId);
  return colourImage(imageId, withoutAlpha(context.getImageData(0, 0, width, height).data), canvas);
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
