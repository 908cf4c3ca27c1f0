/** An image whose values were made here, in the unit in which they are shown. */
import { utilities, type Types } from "@cornerstonejs/core";

/** As `like`, with other values, which need no rescale. */
export function greyImage(like: Types.IImage, scalarData: Uint16Array | Float32Array, more: object = {}): Types.IImage {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of scalarData) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const { rows: height, columns: width } = like;
  const made = {
    ...like,
    dataType: scalarData.constructor.name,
    slope: 1,
    intercept: 0,
    minPixelValue: least,
    maxPixelValue: greatest,
    preScale: { enabled: true, scaled: true, scalingParameters: { rescaleSlope: 1, rescaleIntercept: 0, modality: "" } },
    sizeInBytes: scalarData.byteLength,
    getPixelData: () => scalarData,
    voxelManager: utilities.VoxelManager.createImageVoxelManager({ scalarData, width, height, numberOfComponents: 1 }),
    ...more,
  };
  return made as unknown as Types.IImage;
}
