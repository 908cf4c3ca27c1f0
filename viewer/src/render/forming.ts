/**
 * The voxels of a volume on the graphics card while its images come: where one has not come yet, the nearest one
 * that has is drawn in its place, so that cuts are whole pictures from the first sixteenth of the images on.
 */
import { ImageVolume, cache, utilities, type Types } from "@cornerstonejs/core";
import type { Volume } from "../dicom/volume";
import { nearestHere } from "../state/order";
import { isHere } from "./here";

export const MAKERS = { Uint8Array, Int16Array, Uint16Array, Float32Array } as const;
export type VoxelType = keyof typeof MAKERS;

const RANGES: Readonly<Record<VoxelType, readonly [number, number]>> = {
  Uint8Array: [0, 0xff],
  Int16Array: [-0x8000, 0x7fff],
  Uint16Array: [0, 0xffff],
  Float32Array: [-Infinity, Infinity],
};

/** Whether values of another type, between these, are the same in this one. */
export function holds(type: VoxelType, least: number, most: number, other: VoxelType): boolean {
  const [from, to] = RANGES[type];
  return least >= from && most <= to && (type === "Float32Array" || other !== "Float32Array");
}

export interface Forming {
  readonly type: VoxelType;
  readonly voxels: NonNullable<Types.IImageVolume["voxelManager"]>;
  /** Takes what has come since; to be drawn by whoever shows the volume. */
  take(): void;
}

/** Puts it into the cache, or takes the one of this id that is there. */
export function formVolume(id: string, volume: Volume, imageIds: readonly string[], type: VoxelType): Forming {
  const before = cache.getVolume(id);
  const isSame = before?.dataType === type;
  if (before && !isSame) discard(id);
  const made = isSame ? before : putVolume(id, volume, imageIds, type);
  // Cornerstone copies the images that these name to the card, each to its own place.
  const drawn = made.imageIds;
  const texture = made.vtkOpenGLTexture as unknown as { setUpdatedFrame(index: number): void };
  return {
    type,
    voxels: made.voxelManager!,
    take() {
      nearestHere(imageIds.map(isHere)).forEach((from, index) => {
        const wanted = imageIds[from ?? index]!;
        keepFor(id, imageIds[index]!);
        if (drawn[index] === wanted) return;
        drawn[index] = wanted;
        texture.setUpdatedFrame(index);
      });
    },
  };
}

/** The cache marks images as those of a volume when it takes the volume, and lets go of others when it is full. */
export function keepFor(volumeId: string, imageId: string): void {
  const entry = cache["_imageCache"].get(imageId);
  if (entry?.image) entry.sharedCacheKey = volumeId;
}

/** The volume that they were kept for is not made. */
export function keepNoLonger(volumeId: string, imageIds: readonly string[]): void {
  if (cache.getVolume(volumeId)) return;
  for (const imageId of imageIds) {
    const entry = cache["_imageCache"].get(imageId);
    if (entry?.sharedCacheKey === volumeId) entry.sharedCacheKey = undefined as never;
  }
}

function putVolume(id: string, volume: Volume, imageIds: readonly string[], type: VoxelType): Types.IImageVolume {
  const { dimensions, spacing, origin, axes, frameOfReferenceUid } = volume;
  const voxelManager = utilities.VoxelManager.createImageVolumeVoxelManager({
    dimensions: [...dimensions],
    imageIds: [...imageIds],
    numberOfComponents: 1,
    id,
  });
  const properties = {
    volumeId: id,
    dataType: type,
    metadata: { FrameOfReferenceUID: frameOfReferenceUid },
    dimensions: [...dimensions],
    spacing: [...spacing],
    origin: [...origin],
    direction: axes.flat(),
    imageIds: [...imageIds],
    // Without these, its default window is looked for in an image that is fetched anew.
    referencedImageIds: [...imageIds],
    voxelManager,
    numberOfComponents: 1,
  };
  const made = new ImageVolume(properties as unknown as Types.ImageVolumeProps);
  cache.putVolumeSync(id, made);
  // Else the first picture is drawn from an empty texture.
  made.modified();
  return made;
}

/** Of no use to anybody any more; its images stay. */
export function discard(id: string): void {
  const volume = cache.getVolume(id);
  if (!volume) return;
  volume.vtkOpenGLTexture.releaseGraphicsResources();
  cache.removeVolumeLoadObject(id);
  // Layers that were made for this volume alone are of use to nobody else.
  for (const imageId of volume.imageIds) if (imageId.startsWith(id)) cache.removeImageLoadObject(imageId, { force: true });
}
