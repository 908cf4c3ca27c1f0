/** Frames less their masks, as images of their own beside those that they are made of. */
import { imageLoader, type Types } from "@cornerstonejs/core";
import { subtracted, subtractionOf } from "../dicom/subtraction";
import { defaultVoi, thinned } from "../dicom/voi";
import { greyImage } from "./greyimage";
import { SUBTRACTED, imageIdOfFrame, knownFrame, plainId } from "./imageids";

function loadSubtracted(imageId: string): { promise: Promise<Types.IImage> } {
  return { promise: load(imageId) };
}

export function registerSubtraction(): void {
  imageLoader.registerImageLoader(SUBTRACTED, loadSubtracted as never);
}

async function load(imageId: string): Promise<Types.IImage> {
  const plain = plainId(imageId);
  const found = knownFrame(imageId);
  const frame = (await imageLoader.loadAndCacheImage(plain)) as Types.IImage;
  const subtraction = found && subtractionOf(found.instance, found.number);
  if (!subtraction || frame.color) return { ...frame, imageId };
  const masks = await Promise.all(
    subtraction.masks.map(async (mask) => (await imageLoader.loadAndCacheImage(imageIdOfFrame(plain, mask))) as Types.IImage),
  );
  if (masks.some(({ rows, columns }) => rows !== frame.rows || columns !== frame.columns)) return { ...frame, imageId };
  const held = masks.map((mask) => mask.getPixelData());
  const { rows, columns } = frame;
  const scalarData = subtracted(frame.getPixelData(), held, rows, columns, subtraction.shift);
  const values = thinned(scalarData, rows, columns, () => false);
  const voi = defaultVoi(values, { modality: "XA", isHounsfield: false, bitsStored: undefined });
  const { center: windowCenter, width: windowWidth, voiFunction } = voi;
  return greyImage(frame, scalarData, { imageId, windowCenter, windowWidth, voiLUTFunction: voiFunction });
}
