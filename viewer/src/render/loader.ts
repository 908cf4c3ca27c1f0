/**
 * Loads one frame: as stored and decoded here where this device can, else as a picture that the
 * server renders. The second way costs window and level, never the image.
 */
import type { Types } from "@cornerstonejs/core";
import { wadors } from "@cornerstonejs/dicom-image-loader";
import { renderedFrame } from "../api/dicomweb";
import { colourImage, readableCanvas } from "./colourimage";
import { framePath, isRendered, knownFrame, noteRendered } from "./imageids";

type Options = Record<string, unknown>;

export function loadFrame(imageId: string, options: Options = {}): { promise: Promise<Types.IImage> } {
  return { promise: load(imageId, options) };
}

async function load(imageId: string, options: Options): Promise<Types.IImage> {
  if (isRendered(imageId) || onlyServerDecodes(imageId)) return await loadRendered(imageId);
  try {
    const decoding = wadors.loadImage(imageId, options as never) as unknown as {
      promise: Promise<Types.IImage>;
    };
    return await decoding.promise;
  } catch (error) {
    return await loadRendered(imageId).catch((second: unknown) => {
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

async function loadRendered(imageId: string): Promise<Types.IImage> {
  const bitmap = await createImageBitmap(await renderedFrame(framePath(imageId)));
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
