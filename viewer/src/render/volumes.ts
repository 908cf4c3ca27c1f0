/**
 * Volumes on the graphics card: each is made once however many cells cut it, and let go of with the
 * last of them. Its voxels are those of the images in the cache, which stay there as long.
 */
import { cache, getShouldUseCPURendering, volumeLoader, type Types } from "@cornerstonejs/core";
import type { Stack } from "../dicom/displaysets";
import type { FrameDescription, Window } from "../dicom/frame";
import type { DicomObject } from "../dicom/model";
import { bytesOnCard } from "../dicom/fitting";
import { windowBetween } from "../dicom/presets";
import { uprightLayer } from "../dicom/upright";
import { isWholeValued } from "../dicom/voi";
import { isVolume, type NoVolume, type Tilt, type Volume } from "../dicom/volume";
import { isOutOfMemory } from "../state/memory";
import { coarseToFine } from "../state/order";
import { notSoLarge, release, reserve, volumeHere } from "./budget";
import { MAKERS, discard, formVolume, holds, keepFor, keepNoLonger, type Forming, type VoxelType } from "./forming";
import { isHere } from "./here";
import { imageIdsOf, isRendered, knownFrame, plainId, reducedId } from "./imageids";
import { wordsOf } from "./localframe";
import { NotFetched, fetchAll, type Progress } from "./prefetch";
import { reason } from "./stackview";
import type { StackViewListener } from "./view";

export interface HeldVolume {
  readonly id: string;
  /** Whether all of its images are here. */
  readonly isWhole: boolean;
  /** What one voxel holds, in the unit of the image; undefined outside of the volume, and where it has not come. */
  valueAt(voxel: readonly [number, number, number]): number | undefined;
  /** From the least to the greatest value. */
  readonly whole: Window;
}

interface Held {
  users: number;
  readonly listeners: Set<HeldListener>;
  readonly made: Promise<HeldVolume | NoVolume>;
  /** What can be drawn of it while its images come. */
  forming: HeldVolume | undefined;
}

interface HeldListener {
  onProgress(progress: Progress): unknown;
  /** More of its images are in what can be drawn. */
  onForming(held: HeldVolume): unknown;
}

const held = new Map<string, Held>();

/** Images between those that come first; a volume of fewer is not drawn before it is whole. */
const WIDEST_GAP = 16;

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
  listener: HeldListener,
): Holding {
  const entry = held.get(id) ?? begin(id, volume, imageIds);
  entry.users += 1;
  entry.listeners.add(listener);
  const { forming } = entry;
  if (forming) queueMicrotask(() => entry.listeners.has(listener) && listener.onForming(forming));
  return {
    made: entry.made,
    letGo() {
      entry.listeners.delete(listener);
      entry.users -= 1;
      if (entry.users > 0) return;
      if (held.get(id) === entry) held.delete(id);
      const discarded = () => {
        if (held.has(id)) return;
        release(id);
        discard(id);
        discard(widened(id));
      };
      void entry.made.then(discarded, discarded);
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

  /** Undefined where another was asked for meanwhile. */
  async function put(
    volume: Volume,
    inOrder: readonly string[],
    own: number,
    onForming: ((taken: Taken) => void) | undefined,
  ): Promise<Taken | NoVolume | undefined> {
    const before = letGo;
    let isMade = false;
    const middle = () => knownFrame(inOrder[inOrder.length >> 1]!)!;
    let placed: { readonly id: string; readonly done: Promise<unknown> } | undefined;
    /** Whether it is still wanted once it is in the viewport. */
    const place = async ({ id }: HeldVolume): Promise<boolean> => {
      if (placed?.id !== id) placed = { id, done: viewport.setVolumes([{ volumeId: id }]) };
      await placed.done;
      return own === generation;
    };
    const holding = hold(volumeId(inOrder, volume), volume, inOrder, {
      onProgress: (progress) => own === generation && listener.onProgress(progress),
      async onForming(forming) {
        if (!onForming || own !== generation || middle().frame.windows.length === 0) return;
        if ((await place(forming)) && !isMade) onForming({ volume, held: forming, ...middle() });
      },
    });
    letGo = holding.letGo;
    before();
    try {
      const found = await holding.made;
      isMade = true;
      if (own !== generation || "why" in found) return own === generation ? (found as NoVolume) : undefined;
      if (over) {
        await viewport.addVolumes([{ volumeId: found.id, actorUID: OVER, visibility: true }]);
        // It is this that gives it the planes between which a slice is drawn.
        viewport.resetCamera();
      }
      if (over ? own !== generation : !(await place(found))) return undefined;
      return { volume, held: found, ...middle() };
    } finally {
      isMade = true;
    }
  }

  return {
    /**
     * Undefined where there is no volume, and where another was asked for meanwhile. `onForming` hears of what can
     * be drawn before, each time that there is more of it; where values have no window it hears nothing.
     */
    async take(stack: Stack, study: string, onForming?: (taken: Taken) => void): Promise<Taken | undefined> {
      const own = (generation += 1);
      const imageIds = imageIdsOf(stack, study);
      for (;;) {
        takeAway();
        const volume = volumeHere(stack);
        if (!isVolume(volume)) return void listener.onRefusal(volume);
        const inOrder = volume.order.map((index) => reducedId(imageIds[index]!, volume.reduction.halvings));
        try {
          const found = await put(volume, inOrder, own, onForming);
          if (!found || !("why" in found)) return found;
          takeAway();
          return void listener.onRefusal(found);
        } catch (error) {
          if (own !== generation) return undefined;
          takeAway();
          const why = error instanceof NotFetched ? error.reason : error;
          if (isOutOfMemory(why)) {
            notSoLarge(volume);
            continue;
          }
          if (!(error instanceof NotFetched)) throw error;
          return void listener.onFailure({
            index: imageIds.indexOf(plainId(error.imageId)),
            words: wordsOf(why),
            message: reason(why),
          });
        }
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
  const made = make(id, volume, imageIds, {
    onProgress(progress) {
      for (const listener of listeners) listener.onProgress(progress);
    },
    onForming(forming) {
      entry.forming = forming;
      for (const listener of listeners) listener.onForming(forming);
    },
  });
  const entry: Held = { users: 0, listeners, made, forming: undefined };
  held.set(id, entry);
  // Who comes later is shown all of it at once.
  const formed = () => (entry.forming = undefined);
  made.then(formed, formed);
  // What failed is tried anew by the next who asks.
  made.catch(() => {
    if (held.get(id) !== entry) return;
    held.delete(id);
    release(id);
    discard(id);
    keepNoLonger(id, imageIds);
  });
  return entry;
}

async function make(
  id: string,
  volume: Volume,
  imageIds: readonly string[],
  { onProgress, onForming }: HeldListener,
): Promise<HeldVolume | NoVolume> {
  if (getShouldUseCPURendering()) throw new Error("this browser gives no WebGL 2");
  reserve(id, volume, imageIds[0]!, bytesOnCard(volume) / 2); // as most are: 16 bits a voxel
  const forming = formingOf(id, volume, imageIds, onForming);
  const passes = coarseToFine(imageIds.length, imageIds.length >> 1, volume.tilt ? 1 : WIDEST_GAP);
  const ends = new Set(passes.slice(0, -1).map((_, index) => passes.slice(0, index + 1).flat().length));
  await fetchAll(
    passes.flat().map((index) => imageIds[index]!),
    (progress, imageId) => {
      keepFor(id, imageId);
      onProgress(progress);
      if (ends.has(progress.loaded)) forming.take();
    },
  );
  const none = (why: "colour" | "unscaled"): NoVolume => {
    release(id);
    discard(id);
    keepNoLonger(id, imageIds);
    return { why };
  };
  if (imageIds.some(isRendered)) return none("colour");
  const images = imageIds.map((imageId) => cache.getImage(imageId)).filter((image) => image !== undefined);
  if (images.length < imageIds.length) throw new Error("other volumes that are open fill the memory");
  if (!images.every(isScaled)) return none("unscaled");
  reserve(id, volume, imageIds[0]!, images.reduce((sum, image) => sum + image.sizeInBytes, 0));
  const { dimensions } = volume;
  const [least, most] = rangeOf(images);
  const type = typeOf(images, least, most);
  const bytes = dimensions[0] * dimensions[1] * dimensions[2] * MAKERS[type].BYTES_PER_ELEMENT;
  if (volume.tilt && !cache.getVolume(id) && !cache.isCacheable(bytes)) throw new Error("other volumes that are open fill the memory");
  const whole = wholeOf(images, least, most > least ? most : least + 1);
  if (volume.tilt) {
    const voxels = await straightened(id, { ...volume, tilt: volume.tilt }, images, least, type);
    return { id, isWhole: true, valueAt: valueAt(volume, voxels), whole };
  }
  return { ...forming.end(type, least, most), isWhole: true, whole };
}

/** Draws of a volume what has come, in a type of voxels that those which come later may not fit. */
function formingOf(id: string, volume: Volume, imageIds: readonly string[], onForming: HeldListener["onForming"]) {
  let forming: Forming | undefined;
  const held = (now: Forming, heldId: string): HeldVolume => {
    const at = valueAt(volume, now.voxels);
    return {
      id: heldId,
      isWhole: false,
      valueAt: (voxel) => (isHere(imageIds[voxel[2]] ?? "") ? at(voxel) : undefined),
      whole: windowBetween(0, 1),
    };
  };
  return {
    take(): void {
      const images = imageIds.map((imageId) => cache.getImage(imageId)).filter((image) => image !== undefined);
      if (images.length === 0 || imageIds.some(isRendered) || !images.every(isScaled)) return;
      forming ??= formVolume(id, volume, imageIds, likelyType(images));
      forming.take();
      onForming(held(forming, id));
    },
    /** Of all images, whose values lie between these. */
    end(type: VoxelType, least: number, most: number): HeldVolume {
      const fits = forming !== undefined && holds(forming.type, least, most, type);
      const heldId = forming && !fits ? widened(id) : id;
      if (!forming || !fits) forming = formVolume(heldId, volume, imageIds, type);
      forming.take();
      return held(forming, heldId);
    },
  };
}

/** What a volume is called that was made anew because its first images did not tell how wide its values are. */
const widened = (id: string) => `${id}:wide`;

function wholeOf(images: readonly Types.IImage[], low: number, high: number): Window {
  const frame = knownFrame(images[0]!.imageId)?.frame;
  if (!frame || isWholeValued(frame)) return windowBetween(low, high);
  return { center: (low + high) / 2, width: high - low, voiFunction: "LINEAR_EXACT" };
}

function valueAt({ dimensions }: Volume, voxels: Forming["voxels"]): HeldVolume["valueAt"] {
  return ([i, j, k]) => {
    const isInside = [i, j, k].every((at, axis) => at >= 0 && at < dimensions[axis]!);
    const value: unknown = isInside ? voxels.getAtIJK(i, j, k) : undefined;
    return typeof value === "number" ? value : undefined;
  };
}

function rangeOf(images: readonly Types.IImage[]): readonly [least: number, most: number] {
  return [
    images.reduce((value, image) => Math.min(value, image.minPixelValue), Infinity),
    images.reduce((value, image) => Math.max(value, image.maxPixelValue), -Infinity),
  ];
}

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
): Promise<Forming["voxels"]> {
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

/** The type of all, by some: small values of wider pixels are likely to be followed by larger ones. */
function likelyType(images: readonly Types.IImage[]): VoxelType {
  const type = typeOf(images, ...rangeOf(images));
  return type === "Uint8Array" && (knownFrame(images[0]!.imageId)?.frame.bitsStored ?? 8) > 8 ? "Int16Array" : type;
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
