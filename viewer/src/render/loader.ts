/**
 * Loads one frame: as stored and decoded here where this device can, else as a picture that the
 * server renders. The second way costs window and level, never the image.
 */
import { utilities, type Types } from "@cornerstonejs/core";
import { createImage } from "@cornerstonejs/dicom-image-loader";
import { renderedFrame } from "../api/dicomweb";
import { isStreamOf } from "../dicom/stream";
import { framePath, isRendered, knownFrame, noteRendered } from "./imageids";
import { frameOf } from "./transport";

type Options = Record<string, unknown>;

export function loadFrame(imageId: string, options: Options = {}): { promise: Promise<Types.IImage>; cancelFn: () => void } {
  const cancelling = new AbortController();
  return { promise: load(imageId, options, cancelling.signal), cancelFn: () => cancelling.abort() };
}

async function load(imageId: string, options: Options, signal: AbortSignal): Promise<Types.IImage> {
  if (isRendered(imageId) || onlyServerDecodes(imageId)) return await loadRendered(imageId, signal);
  const { bytes, transferSyntaxUid } = await frameOf(imageId, options["ahead"] !== true, signal);
  try {
    const frame = knownFrame(imageId)?.frame;
    if (frame && !isStreamOf(transferSyntaxUid, bytes, frame)) throw new Error("no stream of this image");
    const how = { ...options, transferPixelData: true };
    const image = (await createImage(imageId, bytes as never, transferSyntaxUid, how as never)) as Types.IImage;
    if (frame && image.getPixelData().length !== frame.rows * frame.columns * image.numberOfComponents) {
      throw new Error("not as many pixels as the header says");
    }
    return image;
  } catch (error) {
    return await loadRendered(imageId, signal).catch((second: unknown) => {
      throw second instanceof Error ? second : error;
    });
  }
}

/** Colour tables live in bulk data; single bits and deep colour have no place in a texture here. */
function onlyServerDecodes(imageId: string): boolean {
  const frame = knownFrame(imageId)?.frame;
  if (!frame) return false;
  const deepColour = frame.samplesPerPixel > 1 && frame.bitsAllocated > 8;
  return frame.photometricInterpretation === "PALETTE COLOR" || frame.bitsAllocated === 1 || deepColour;
}

async function loadRendered(imageId: string, signal: AbortSignal): Promise<Types.IImage> {
  const bitmap = await createImageBitmap(await renderedFrame(framePath(imageId), signal));
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no 2D canvas");
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

function colourImage(imageId: string, rgb: Uint8Array, canvas: HTMLCanvasElement): Types.IImage {
  const { width, height } = canvas;
  const [rowPixelSpacing, columnPixelSpacing] = knownFrame(imageId)?.frame.spacingMm ?? [1, 1];
  const image = {
    imageId,
    color: true,
    rgba: false,
    numberOfComponents: 3,
    dataType: "Uint8Array",
    rows: height,
    columns: width,
    height,
    width,
    rowPixelSpacing,
    columnPixelSpacing,
    slope: 1,
    intercept: 0,
    invert: false,
    minPixelValue: 0,
    maxPixelValue: 255,
    windowCenter: 128,
    windowWidth: 256,
    voiLUTFunction: "LINEAR",
    sizeInBytes: rgb.byteLength,
    getPixelData: () => rgb,
    getCanvas: () => canvas,
    voxelManager: utilities.VoxelManager.createImageVoxelManager({
      scalarData: rgb,
      width,
      height,
      numberOfComponents: 3,
    }),
  };
  return image as unknown as Types.IImage;
}
