/** Small pictures of frames on this device, where those of the archive come from the server. */
import { cache, imageLoader, type Types } from "@cornerstonejs/core";
import { firstIndex, type Stack } from "../dicom/displaysets";
import { smallPicture } from "../dicom/smallpicture";
import { readableCanvas } from "./colourimage";
import { renderingEngine } from "./engine";
import { imageIdsOf, isRendered, knownFrame } from "./imageids";
import { withRoom } from "./room";

/** After the images that are looked at, as those that are fetched ahead. */
const LOADING = { useRGBA: false, requestType: "thumbnail", priority: 10 };

/** The address of a picture of the stack's middle; whoever asks lets go of it. Fails where the frame cannot be shown. */
export async function localPicture(stack: Stack, study: string, most: number): Promise<string> {
  renderingEngine();
  const imageId = imageIdsOf(stack, study)[firstIndex(stack, undefined)]!;
  const isKept = cache.getImageLoadObject(imageId) !== undefined;
  const image = await withRoom(imageId, true, () => imageOf(imageId));
  const { frame } = knownFrame(imageId)!;
  const isScaled = image.preScale?.scaled === true || isRendered(imageId);
  const { width, height, rgba } = smallPicture(
    {
      columns: image.columns,
      rows: image.rows,
      values: image.getPixelData(),
      components: image.color ? image.getPixelData().length / (image.columns * image.rows) : 1,
      slope: isScaled ? 1 : frame.rescaleSlope,
      intercept: isScaled ? 0 : frame.rescaleIntercept,
      window: frame.windows[0],
      inverted: frame.isInverse,
      aspect: (frame.spacingMm ? frame.spacingMm[0] / frame.spacingMm[1] : frame.pixelAspect) || 1,
    },
    most,
  );
  // What nobody has asked to see in full is not kept: a long rail would push images out.
  if (!isKept) cache.removeImageLoadObject(imageId);
  const [canvas, context] = readableCanvas(width, height);
  context.putImageData(new ImageData(rgba as Uint8ClampedArray<ArrayBuffer>, width, height), 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve));
  if (!blob) throw new Error("the picture could not be made");
  return URL.createObjectURL(blob);
}

/** Cornerstone's own way leaves a promise behind that nobody listens to. */
async function imageOf(imageId: string): Promise<Types.IImage> {
  const coming = cache.getImageLoadObject(imageId);
  if (coming) return await coming.promise;
  const loading = { promise: imageLoader.loadImage(imageId, LOADING) };
  await cache.putImageLoadObject(imageId, loading as never);
  return await loading.promise;
}
