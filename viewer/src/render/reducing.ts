/**
 * Frames of which columns and rows are halved, as images of their own beside those that they are made of. Each is
 * decoded whole and let go of at once, so that no more than a few are in memory together.
 */
import { cache, imageLoader, type Types } from "@cornerstonejs/core";
import { halvingsOf } from "../dicom/reduction";
import { halvedImage } from "./halving";
import { LOCAL_SCHEME, REDUCED, halvingsOfId, knownFrame, plainId, resizedOf } from "./imageids";
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
  const whole = plainId(imageId);
  // One that is too large for this device comes halved.
  const halvings = halvingsOfId(imageId) - (resizedOf(whole) ? halvingsOf(resizedOf(whole)!) : 0);
  if (halvings < 0) throw new Error("out of memory");
  return halvedImage(imageId, image, knownFrame(whole)!.frame, halvings);
}
