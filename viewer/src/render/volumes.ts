/**
 * Volumes on the graphics card: each is made once however many cells cut it, and let go of with the
 * last of them. Its voxels are those of the images in the cache, which stay there as long.
 */
import { ImageVolume, cache, getShouldUseCPURendering, utilities, volumeLoader, type Types } from "@cornerstonejs/core";
import type { Stack } from "../dicom/displaysets";
import type { FrameDescription, Window } from "../dicom/frame";
import type { DicomObject } from "../dicom/model";
import { windowBetween } from "../dicom/presets";
import { uprightLayer } from "../dicom/upright";
import { isWholeValued } from "../dicom/voi";
import { isVolume, tooLarge, volumeOf, type NoVolume, type Tilt, type Volume } from "../dicom/volume";
import { cacheBudgetBytes } from "./engine";
import { imageIdsOf, isRendered, knownFrame } from "./imageids";
import { wordsOf } from "./localframe";
import { NotFetched, SHARE_OF_CACHE, fetchAll, type Progress } from "./prefetch";
import { reason } from "./stackview";
import type { StackViewListener } from "./view";

export interface HeldVolume {
  readonly id: string;
  /** What one voxel holds, in the unit of the image; undefined outside of the volume. */
  valueAt(voxel: readonly [number, number, number]): number | undefined;
  /** From the least to the greatest value. */
  readonly whole: Window;
}

interface Held {
  users: number;
  readonly listeners: Set<(progress: Progress) => unknown>;
  readonly made: Promise<HeldVolume | NoVolume>;
}

const held = new Map<string, Held>();

/** How much of the cache one volume may take: the rest is for the stacks looked at before. */
function mostBytes(): number {
  return SHARE_OF_CACHE * cacheBudgetBytes();
}

/** Cornerstone asks no loader for layers that are called derived. */
function volumeId(imageIds: readonly string[], { tilt }: Volume): string {
  return `${tilt ? "derived:" : ""}volume:${imageIds[0]}:${imageIds.length}`;
}

interface Holding {
  readonly made: Promise<HeldVolume | NoVolume>;
  /** To be called once, when it is drawn no more. */
  letGo(): void;
}

/** Fetches what is missing. */
function hold(
  id: string,
  volume: Volume,
  imageIds: readonly string[],
  onProgress: (progress: Progress) => unknown,
): Holding {
  const entry = held.get(id) ?? begin(id, volume, imageIds);
  entry.users += 1;
  entry.listeners.add(onProgress);
  return {
    made: entry.made,
    letGo() {
      entry.listeners.delete(onProgress);
      entry.users -= 1;
      if (entry.users > 0) return;
      if (held.get(id) === entry) held.delete(id);
      void entry.made.then(() => held.has(id) || discard(id), () => undefined);
    },
  };
}

/** A volume that a viewport now holds, and its middle image: what is the same for all is told by one. */
export interface Taken {
  readonly volume: Volume;
  readonly held: HeldVolume;
  readonly frame: FrameDescription;
  readonly instance: DicomObject;
}

/** What of a viewport's listener hears how a volume comes, or why it does not. */
export type VolumeListener = Pick<StackViewListener, "onProgress" | "onFailure" | "onRefusal">;

/**
 * Puts the volumes of stacks into one viewport, one after the other, and says why where one is none.
 * One `over` others is drawn after them.
 */
export function volumesOf(viewport: Types.IVolumeViewport, listener: VolumeListener, over = false) {
  let generation = 0;
  let letGo = () => {};
  /** It must not be drawn any more once its volume is let go of. */
  const takeAway = () => {
    if (!over) viewport.removeAllActors();
    else if (viewport.getActor(OVER)) viewport.removeVolumeActors([OVER], false);
  };
  return {
    /** Undefined where there is no volume, and where another was asked for meanwhile. */
    async take(stack: Stack, study: string): Promise<Taken | undefined> {
      const own = (generation += 1);
      takeAway();
      const volume = volumeOf(stack);
      const refusal = isVolume(volume) ? tooLarge(volume, mostBytes()) : volume;
      if (refusal || !isVolume(volume)) return void listener.onRefusal(refusal!);
      const imageIds = imageIdsOf(stack, study);
      const inOrder = volume.order.map((index) => imageIds[index]!);
      const before = letGo;
      const holding = hold(volumeId(inOrder, volume), volume, inOrder, (progress) => own === generation && listener.onProgress(progress));
      letGo = holding.letGo;
      before();
      try {
        const found = await holding.made;
        if (own !== generation) return undefined;
        if ("why" in found) return void listener.onRefusal(found);
        if (over) {
          await viewport.addVolumes([{ volumeId: found.id, actorUID: OVER, visibility: true }]);
          // It is this that gives it the planes between which a slice is drawn.
          viewport.resetCamera();
        }
        if (!over) await viewport.setVolumes([{ volumeId: found.id }]);
        if (own !== generation) return undefined;
        return { volume, held: found, ...knownFrame(inOrder[inOrder.length >> 1]!)! };
      } catch (error) {
        if (own !== generation) return undefined;
        if (!(error instanceof NotFetched)) throw error;
        return void listener.onFailure({
          index: imageIds.indexOf(error.imageId),
          words: wordsOf(error.reason),
          message: reason(error.reason),
        });
      }
    },
    /** Undefined while there is none. */
    actor: () => (over ? viewport.getActor(OVER) : viewport.getDefaultActor())?.actor as Types.VolumeActor | undefined,
    /** Draws it no more. */
    drop(): void {
      generation += 1;
      takeAway();
      letGo();
      letGo = () => {};
    },
    /** To be called when the viewport draws no more. */
    dispose(): void {
      generation += 1;
      letGo();
    },
  };
}

/** What the upper of two volumes is called in its viewport. */
const OVER = "over";

function begin(id: string, volume: Volume, imageIds: readonly string[]): Held {
  const listeners: Held["listeners"] = new Set();
  const made = make(id, volume, imageIds, (progress) => {
    for (const listener of listeners) listener(progress);
  });
  const entry: Held = { users: 0, listeners, made };
  held.set(id, entry);
  // What failed is tried anew by the next who asks.
  made.catch(() => held.get(id) === entry && held.delete(id));
  return entry;
}

function discard(id: string): void {
  const volume = cache.getVolume(id);
  if (!volume) return;
  volume.vtkOpenGLTexture.releaseGraphicsResources();
  cache.removeVolumeLoadObject(id);
  // Layers that were made for this volume alone are of use to nobody else.
  for (const imageId of volume.imageIds) if (imageId.startsWith(id)) cache.removeImageLoadObject(imageId, { force: true });
}

async function make(
  id: string,
  volume: Volume,
  imageIds: readonly string[],
  onProgress: (progress: Progress) => void,
): Promise<HeldVolume | NoVolume> {
  if (getShouldUseCPURendering()) throw new Error("this browser gives no WebGL 2");
  await fetchAll(imageIds, onProgress);
  if (imageIds.some(isRendered)) return { why: "colour" };
  const images = imageIds.map((imageId) => cache.getImage(imageId)).filter((image) => image !== undefined);
  if (images.length < imageIds.length) throw new Error("other volumes that are open fill the memory");
  if (!images.every(isScaled)) return { why: "unscaled" };
  const { dimensions } = volume;
  const least = images.reduce((value, image) => Math.min(value, image.minPixelValue), Infinity);
  const most = images.reduce((value, image) => Math.max(value, image.maxPixelValue), -Infinity);
  const bytes = dimensions[0] * dimensions[1] * dimensions[2] * MAKERS[typeOf(images, least, most)].BYTES_PER_ELEMENT;
  if (volume.tilt && !cache.getVolume(id) && !cache.isCacheable(bytes))
    return { why: "large", megabytes: Math.ceil(bytes / 1e6), mostMegabytes: Math.floor(cache.getBytesAvailable() / 1e6) };
  const voxelManager = volume.tilt
    ? await straightened(id, { ...volume, tilt: volume.tilt }, images, least, typeOf(images, least, most))
    : putImages(id, volume, imageIds, typeOf(images, least, most));
  return {
    id,
    valueAt([i, j, k]) {
      const isInside = [i, j, k].every((at, axis) => at >= 0 && at < dimensions[axis]!);
      const value: unknown = isInside ? voxelManager.getAtIJK(i, j, k) : undefined;
      return typeof value === "number" ? value : undefined;
    },
    whole: wholeOf(images, least, most > least ? most : least + 1),
  };
}

function wholeOf(images: readonly Types.IImage[], low: number, high: number): Window {
  const frame = knownFrame(images[0]!.imageId)?.frame;
  if (!frame || isWholeValued(frame)) return windowBetween(low, high);
  return { center: (low + high) / 2, width: high - low, voiFunction: "LINEAR_EXACT" };
}

type Manager = Types.IImageVolume["voxelManager"];

/** The voxels of the images themselves. */
function putImages(
  id: string,
  { dimensions, spacing, origin, axes, frameOfReferenceUid }: Volume,
  imageIds: readonly string[],
  dataType: string,
): NonNullable<Manager> {
  const voxelManager = utilities.VoxelManager.createImageVolumeVoxelManager({
    dimensions: [...dimensions],
    imageIds: [...imageIds],
    numberOfComponents: 1,
    id,
  });
  if (!cache.getVolume(id)) {
    const properties = {
      volumeId: id,
      dataType,
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
    const volume = new ImageVolume(properties as unknown as Types.ImageVolumeProps);
    cache.putVolumeSync(id, volume);
    // Else the first picture is drawn from an empty texture.
    volume.modified();
  }
  return voxelManager as unknown as NonNullable<Manager>;
}

const MAKERS = { Uint8Array, Int16Array, Uint16Array, Float32Array } as const;
type VoxelType = keyof typeof MAKERS;
/** So long may a page not answer while layers are made. */
const TURN_MS = 12;

/**
 * Layers between the images of a tilted gantry, a few at a time so that the page goes on answering: a worker
 * would need a copy of all images, and memory is what large series lack.
 */
async function straightened(
  id: string,
  volume: Volume & { readonly tilt: Tilt },
  images: readonly Types.IImage[],
  outside: number,
  dataType: VoxelType,
): Promise<NonNullable<Manager>> {
  const known = cache.getVolume(id);
  if (known?.voxelManager) return known.voxelManager;
  const { dimensions, spacing, origin, axes, frameOfReferenceUid } = volume;
  const size = dimensions[0] * dimensions[1];
  const scalarData = new MAKERS[dataType](size * dimensions[2]);
  const frames = images.map((image) => image.getPixelData());
  let began = performance.now();
  for (let layer = 0; layer < dimensions[2]; layer += 1) {
    uprightLayer(volume, frames, layer, outside, scalarData, layer * size);
    if (performance.now() - began < TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    began = performance.now();
  }
  const made = volumeLoader.createLocalVolume(id, {
    metadata: { FrameOfReferenceUID: frameOfReferenceUid } as Types.Metadata,
    dimensions: [...dimensions],
    spacing: [...spacing],
    origin: [...origin],
    direction: axes.flat() as Types.Mat3,
    scalarData,
  });
  made.modified();
  return made.voxelManager!;
}

/** Whether its pixels are in its unit (PS3.3 C.11.1), so that they can be compared with other images'. */
function isScaled({ imageId, preScale }: Types.IImage): boolean {
  const frame = knownFrame(imageId)?.frame;
  return preScale?.scaled === true || (frame?.rescaleSlope === 1 && frame.rescaleIntercept === 0);
}

/** Images of one series come in the smallest type that holds each; the volume's holds all of them. */
function typeOf(images: readonly Types.IImage[], least: number, most: number): VoxelType {
  const types = new Set(images.map((image) => image.getPixelData().constructor.name));
  const [only] = types;
  if (types.size === 1 && only && only in MAKERS) return only as VoxelType;
  if (types.has("Float32Array") || types.has("Float64Array")) return "Float32Array";
  if (least >= 0 && most < 1 << 16) return "Uint16Array";
  return least >= -(1 << 15) && most < 1 << 15 ? "Int16Array" : "Float32Array";
}
