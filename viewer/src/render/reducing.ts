/**
 * Frames of which columns and rows are halved, as images of their own beside those that they are made of. Each is
 * decoded whole and let go of at once, so that no more than a few are in memory together.
 */
import { cache, imageLoader, type Types } from "@cornerstonejs/core";
import type { FrameDescription } from "../dicom/frame";
import { meansOf } from "../dicom/reduction";
import type { Voxels } from "../dicom/upright";
import { MAKERS } from "./forming";
import { greyImage } from "./greyimage";
import { LOCAL_SCHEME, REDUCED, halvingsOfId, knownFrame, plainId } from "./imageids";
import { loadFrame } from "./loader";
import { loadLocalFrame } from "./localframe";

export function registerReduction(): void {
  imageLoader.registerImageLoader(REDUCED, loadReduced as never);
}

function loadReduced(imageId: string, options: Record<string, unknown>): { promise: Promise<Types.IImage>; cancelFn: () => void } {
  const { promise, cancelFn = () => {} } = loadWhole(plainId(imageId), options);
  return { promise: promise.then((image) => reduced(imageId, image)), cancelFn };
}

function loadWhole(imageId: string, options: object): { promise: Promise<Types.IImage>; cancelFn?: () => void } {
  const here = cache.getImage(imageId);
  if (here) return { promise: Promise.resolve(here) };
  return imageId.startsWith(`${LOCAL_SCHEME}:`) ? loadLocalFrame(imageId, { ...options }) : loadFrame(imageId, { ...options });
}

function reduced(imageId: string, image: Types.IImage): Types.IImage {
  // No volume is made of pictures.
  if (image.color) return { ...image, imageId };
  const halvings = halvingsOfId(imageId);
  const { frame } = knownFrame(imageId)!;
  const means = meansOf(voxelsOf(image), image, halvings, isNone(image, frame));
  const size = { rows: frame.rows, columns: frame.columns, height: frame.rows, width: frame.columns };
  const by = 2 ** halvings;
  const { preScale, slope, intercept } = image;
  // What an image was decoded from would keep all of its values.
  const spacing = { rowPixelSpacing: image.rowPixelSpacing * by, columnPixelSpacing: image.columnPixelSpacing * by };
  return greyImage({ ...image, ...size, ...spacing }, means, { imageId, preScale, slope, intercept, imageFrame: undefined });
}

function voxelsOf(image: Types.IImage): Voxels {
  const values = image.getPixelData();
  return values.constructor.name in MAKERS ? (values as Voxels) : Float32Array.from(values);
}

/** Padding is no value that a mean could be of (PS3.3 C.7.5.1.1.2). */
function isNone(image: Types.IImage, { padding, modalityLut, rescaleSlope, rescaleIntercept }: FrameDescription) {
  if (!padding || modalityLut) return () => false;
  const [slope, intercept] = image.preScale?.scaled === true ? [rescaleSlope, rescaleIntercept] : [1, 0];
  const ends = padding.map((value) => value * slope + intercept);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  return (value: number) => value >= least && value <= most;
}
