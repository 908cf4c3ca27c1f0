/** An image whose values were made here, in the unit in which they are shown. */
import { utilities, type Types } from "@cornerstonejs/core";
import type { FrameBytes } from "../api/frames";
import type { FrameDescription } from "../dicom/frame";
import { plainValues } from "../dicom/plainpixels";
import { DEFLATED, EXPLICIT_LITTLE, IMPLICIT_LITTLE } from "../dicom/syntaxes";
import type { Voxels } from "../dicom/upright";

/** The image of a frame whose values, after its rescale, are these. */
export function frameImage(imageId: string, frame: FrameDescription, scalarData: Float32Array): Types.IImage {
  return greyImage(likeFrame(imageId, frame), scalarData);
}

/** Uncompressed syntaxes whose frames lie as this device reads numbers. */
const AS_READ: ReadonlySet<string> = new Set([IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED]);

/** The image of a frame that is numbers as they lie, which it takes over; undefined where it takes more to decode it. */
export function plainImage(imageId: string, frame: FrameDescription, { bytes, transferSyntaxUid }: FrameBytes): Types.IImage | undefined {
  const isGrey = frame.samplesPerPixel === 1 && frame.photometricInterpretation.startsWith("MONOCHROME");
  const plain = isGrey && AS_READ.has(transferSyntaxUid) ? plainValues(bytes, frame) : undefined;
  return plain && greyImage(likeFrame(imageId, frame), plain.values, {}, [plain.least, plain.greatest]);
}

function likeFrame(imageId: string, frame: FrameDescription): Types.IImage {
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
    // By which a viewport tells whether it must begin anew.
    imageFrame: { photometricInterpretation: frame.isInverse ? "MONOCHROME1" : frame.photometricInterpretation },
  };
  return like as unknown as Types.IImage;
}

/** As `like`, with other values, which need no rescale. */
export function greyImage(
  like: Types.IImage,
  scalarData: Voxels,
  more: object = {},
  [least, greatest]: readonly [number, number] = rangeOf(scalarData),
): Types.IImage {
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

function rangeOf(values: Voxels): readonly [least: number, greatest: number] {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
}
