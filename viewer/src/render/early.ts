/**
 * A picture from the first bytes of a frame, shown until the rest has come: in small, in the size of the whole, so that
 * places, window and camera are those of what follows. Nothing is measured in it.
 */
import { utilities, type Types } from "@cornerstonejs/core";
import { createImage } from "@cornerstonejs/dicom-image-loader";
import type { FrameBeginning } from "../api/frames";
import { enlarged, type Values } from "../dicom/enlarge";
import type { FrameDescription } from "../dicom/frame";
import { halvingsWithin } from "../dicom/htj2k";
import { overlaysOf } from "../dicom/planes";
import { storedRange } from "../dicom/storedbits";
import { isStreamOf } from "../dicom/stream";
import { graded } from "./graded";
import { isHere } from "./here";
import { knownFrame, wideIdOf } from "./imageids";

export type OnEarly = (image: Types.IImage) => void;

const halvingsOf = new WeakMap<object, number>();

/** How often it was halved; undefined of an image that is whole. */
export const halvingsIn = (image: object | undefined): number | undefined => image && halvingsOf.get(image);

/** What is to be done with the first bytes of a frame. */
export function early(imageId: string, onEarly: OnEarly, signal: AbortSignal): (begun: FrameBeginning) => void {
  return (begun) => {
    const isWanted = () => !signal.aborted && !isHere(imageId);
    // What cannot be seen early is seen a little later: the whole frame tells what is wrong with it.
    decodedEarly(imageId, begun).then((image) => image && isWanted() && onEarly(image), () => undefined);
  };
}

async function decodedEarly(imageId: string, { bytes, total, transferSyntaxUid }: FrameBeginning): Promise<Types.IImage | undefined> {
  const found = knownFrame(imageId);
  if (!found || isOdd(found) || !isStreamOf(transferSyntaxUid, bytes, found.frame)) return undefined;
  const halvings = halvingsWithin(bytes, total);
  if (halvings === undefined) return undefined;
  const how = { decodeLevel: halvings, transferPixelData: true, useRGBA: false };
  // A copy: the bytes are given to the worker, and the rest is to be joined to them.
  const small = (await createImage(wideIdOf(imageId), bytes.slice() as never, transferSyntaxUid, how as never)) as Types.IImage;
  const { rows, columns } = found.frame;
  const size = { rows: Math.ceil(rows / 2 ** halvings), columns: Math.ceil(columns / 2 ** halvings) };
  const samples = small.numberOfComponents;
  const values = small.getPixelData() as Values;
  if (values.length !== size.rows * size.columns * samples) return undefined;
  const scalarData = enlarged(values, size, halvings, found.frame, samples, rangeOf(small, found.frame));
  const image = await graded(inSizeOf(small, imageId, found.frame, scalarData), found, () => Promise.reject(new Error("seen early")));
  halvingsOf.set(image, halvings);
  return image;
}

/** What is decoded in a way of its own, as `graded` tells. */
function isOdd({ frame, instance, number }: NonNullable<ReturnType<typeof knownFrame>>): boolean {
  return (
    frame.modalityLut !== undefined ||
    frame.highBit > frame.bitsStored - 1 ||
    overlaysOf(instance, number, frame).some(({ data }) => !data)
  );
}

/** Halving goes a little beyond what the frame may hold. */
function rangeOf({ color, preScale }: Types.IImage, frame: FrameDescription): readonly [number, number] {
  if (color) return [0, 255];
  const isScaled = preScale?.scaled === true;
  const ends = storedRange(frame).map((value) => (isScaled ? value * frame.rescaleSlope + frame.rescaleIntercept : value));
  return [Math.min(...ends), Math.max(...ends)];
}

function inSizeOf(small: Types.IImage, imageId: string, { rows, columns }: FrameDescription, scalarData: Values): Types.IImage {
  const image = {
    ...small,
    imageId,
    rows,
    columns,
    height: rows,
    width: columns,
    sizeInBytes: scalarData.byteLength,
    getPixelData: () => scalarData,
    voxelManager: utilities.VoxelManager.createImageVoxelManager({
      scalarData: scalarData as Types.PixelDataTypedArray,
      width: columns,
      height: rows,
      numberOfComponents: small.numberOfComponents,
    }),
  };
  return image as unknown as Types.IImage;
}

/** What of a stack viewport shows an image that is not in the cache. */
export interface Showing {
  loadImages(imageIds: readonly string[], listener: Showing): Promise<readonly PromiseSettledResult<unknown>[]>;
  successCallback(imageId: string, image: Types.IImage): void;
}

const shown = new Map<string, Types.IImage>();

/** Is shown wherever the image is asked for, until it is taken back. */
export function putEarly(imageId: string, image: Types.IImage): void {
  shown.set(imageId, image);
}

export function takeBackEarly(imageId: string): void {
  shown.delete(imageId);
}

/** How a stack viewport comes to its images. Fails where one that is here could not be shown, which Cornerstone does not tell. */
export const IMAGE_RETRIEVAL = {
  create: () => ({
    async loadImages(imageIds: readonly string[], viewport: Showing): Promise<void> {
      const [imageId] = imageIds;
      const image = imageId === undefined || isHere(imageId) ? undefined : shown.get(imageId);
      if (image) return viewport.successCallback(imageId!, image);
      await loadShown(imageIds, viewport);
    },
  }),
};

export async function loadShown(imageIds: readonly string[], viewport: Showing): Promise<void> {
  const results = await viewport.loadImages(imageIds, viewport);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
