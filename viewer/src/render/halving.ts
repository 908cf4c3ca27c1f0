/** A decoded frame, of which columns and rows are halved. */
import type { Types } from "@cornerstonejs/core";
import type { FrameDescription } from "../dicom/frame";
import { halved, meansOf, meansOfColours } from "../dicom/reduction";
import type { Voxels } from "../dicom/upright";
import { rgbImage } from "./colourimage";
import { greyImage } from "./greyimage";

const VOXELS: ReadonlySet<string> = new Set(["Uint8Array", "Int16Array", "Uint16Array", "Float32Array"]);

export function halvedImage(imageId: string, image: Types.IImage, frame: FrameDescription, halvings: number): Types.IImage {
  const [rows, columns] = [halved(image.rows, halvings), halved(image.columns, halvings)];
  if (image.color) {
    const values = image.getPixelData();
    return rgbImage(imageId, meansOfColours(values, image, halvings, values.length / (image.rows * image.columns)), columns, rows);
  }
  const means = meansOf(voxelsOf(image), image, halvings, isNone(image, frame));
  const by = 2 ** halvings;
  const { preScale, slope, intercept } = image;
  const size = { rows, columns, height: rows, width: columns };
  const spacing = { rowPixelSpacing: image.rowPixelSpacing * by, columnPixelSpacing: image.columnPixelSpacing * by };
  // What an image was decoded from would keep all of its values.
  return greyImage({ ...image, ...size, ...spacing }, means, { imageId, preScale, slope, intercept, imageFrame: undefined });
}

function voxelsOf(image: Types.IImage): Voxels {
  const values = image.getPixelData();
  return VOXELS.has(values.constructor.name) ? (values as Voxels) : Float32Array.from(values);
}

/** Padding is no value that a mean could be of (PS3.3 C.7.5.1.1.2). */
function isNone(image: Types.IImage, { padding, modalityLut, rescaleSlope, rescaleIntercept }: FrameDescription) {
  if (!padding || modalityLut) return () => false;
  const [slope, intercept] = image.preScale?.scaled === true ? [rescaleSlope, rescaleIntercept] : [1, 0];
  const ends = padding.map((value) => value * slope + intercept);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  return (value: number) => value >= least && value <= most;
}
