/** An image whose values were made here, in the unit in which they are shown. */
import { utilities, type Types } from "@cornerstonejs/core";
import type { FrameDescription } from "../dicom/frame";
import type { Voxels } from "../dicom/upright";

/** The image of a frame whose values, after its rescale, are these. */
export function frameImage(imageId: string, frame: FrameDescription, scalarData: Float32Array): Types.IImage {
  const { rows, columns } = frame;
  const [rowPixelSpacing, columnPixelSpacing] = frame.spacingMm ?? [frame.pixelAspect, 1];
  const like = {
    imageId,
    color: false,
    rgba: false,
    numberOfComponents: 1,
    rows,
    columns,
    height: rows,
    width: columns,
    rowPixelSpacing,
    columnPixelSpacing,
    invert: frame.isInverse,
    getCanvas: undefined,
  };
  return greyImage(like as unknown as Types.IImage, scalarData);
}

/** As `like`, with other values, which need no rescale. */
export function greyImage(like: Types.IImage, scalarData: Voxels, more: object = {}): Types.IImage {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of scalarData) {
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const { rows: height, columns: width } = like;
  const made = {
    ...like,
    dataType: scalarData.constructor.name,
    slope: 1,
    intercept: 0,
    minPixelValue: least <= greatest ? least : 0,
    maxPixelValue: least <= greatest ? greatest : 0,
    preScale: { enabled: true, scaled: true, scalingParameters: { rescaleSlope: 1, rescaleIntercept: 0, modality: "" } },
    sizeInBytes: scalarData.byteLength,
    getPixelData: () => scalarData,
    voxelManager: utilities.VoxelManager.createImageVoxelManager({ scalarData, width, height, numberOfComponents: 1 }),
    ...more,
  };
  return made as unknown as Types.IImage;
}
