/** A picture in colour as Cornerstone holds one: three bytes a pixel, and a canvas with the same. */
import { utilities, type Types } from "@cornerstonejs/core";
import { knownFrame, noteRendered } from "./imageids";

/** A canvas of this size that is read back. Throws where the browser gives none. */
export function readableCanvas(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no 2D canvas");
  return [canvas, context];
}

/** The picture of a frame, which from now on has no window and no values. */
export function pictureImage(imageId: string, rgb: Uint8Array, width: number, height: number): Types.IImage {
  noteRendered(imageId);
  return rgbImage(imageId, rgb, width, height);
}

/** A frame whose stored values are these. */
export function rgbImage(imageId: string, rgb: Uint8Array, width: number, height: number): Types.IImage {
  const [canvas, context] = readableCanvas(width, height);
  const data = context.createImageData(width, height);
  for (let from = 0, to = 0; to < data.data.length; from += 3, to += 4) {
    data.data[to] = rgb[from]!;
    data.data[to + 1] = rgb[from + 1]!;
    data.data[to + 2] = rgb[from + 2]!;
    data.data[to + 3] = 255;
  }
  context.putImageData(data, 0, 0);
  return colourImage(imageId, rgb, canvas);
}

export function colourImage(imageId: string, rgb: Uint8Array, canvas: HTMLCanvasElement): Types.IImage {
  const { width, height } = canvas;
  const frame = knownFrame(imageId)?.frame;
  const [rowPixelSpacing, columnPixelSpacing] = frame?.spacingMm ?? [frame?.pixelAspect ?? 1, 1];
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
    // The canvas holds four bytes a pixel.
    sizeInBytes: rgb.byteLength + 4 * width * height,
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
