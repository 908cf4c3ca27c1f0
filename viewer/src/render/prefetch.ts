/**
 * Brings the rest of a stack while its first image is looked at: outwards from where the person
 * is, a few at a time, and never more than the cache holds.
 */
import { cache, imageLoader } from "@cornerstonejs/core";
import { cacheBudgetBytes } from "./engine";

export interface Progress {
  readonly loaded: number;
  readonly total: number;
}

/** A browser opens six connections; one stays free for the image the person goes to next. */
const AT_A_TIME = 5;
/** The rest of the cache is for the stacks looked at before. */
export const SHARE_OF_CACHE = 0.7;
const AFTER_THE_VISIBLE_ONE = 10;

export function prefetchStack(
  imageIds: readonly string[],
  from: number,
  bytesPerImage: number,
  onProgress: (progress: Progress) => void,
): () => void {
  const fits = Math.max(1, Math.floor((SHARE_OF_CACHE * cacheBudgetBytes()) / Math.max(1, bytesPerImage)));
  // The image in view was asked for already; if it cannot be had, it is not asked for twice.
  const order = outwards(imageIds.length, from).slice(1, fits);
  const total = order.length;
  let loaded = 0;
  let stopped = false;

  async function work(): Promise<void> {
    for (let index = order.shift(); index !== undefined && !stopped; index = order.shift()) {
      const imageId = imageIds[index]!;
      if (!cache.getImageLoadObject(imageId)) await fetchOne(imageId);
      loaded += 1;
      if (!stopped) onProgress({ loaded, total });
    }
  }

  for (let worker = 0; worker < AT_A_TIME; worker += 1) void work();
  return () => {
    stopped = true;
  };
}

async function fetchOne(imageId: string): Promise<void> {
  try {
    await imageLoader.loadAndCacheImage(imageId, optionsOf(imageId));
  } catch {
    // Said where it matters: when the person comes to this image.
  }
}

const optionsOf = (imageId: string) => ({
  priority: AFTER_THE_VISIBLE_ONE,
  requestType: "prefetch",
  additionalDetails: { imageId },
  useRGBA: false,
});

/** Brings all of them. Fails with the first that fails, whose id is then `imageId` of what is thrown. */
export async function fetchAll(imageIds: readonly string[], onProgress: (progress: Progress) => void): Promise<void> {
  const left = [...imageIds];
  let loaded = 0;
  async function work(): Promise<void> {
    for (let imageId = left.shift(); imageId !== undefined; imageId = left.shift()) {
      try {
        await imageLoader.loadAndCacheImage(imageId, optionsOf(imageId));
      } catch (error) {
        left.length = 0;
        throw new NotFetched(imageId, error);
      }
      loaded += 1;
      onProgress({ loaded, total: imageIds.length });
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
}

export class NotFetched extends Error {
  constructor(
    readonly imageId: string,
    readonly reason: unknown,
  ) {
    super("an image could not be fetched");
  }
}

/** 5, 6, 4, 7, 3, …: every index once, nearest first. */
export function outwards(length: number, from: number): number[] {
  const order: number[] = from < length ? [from] : [];
  for (let distance = 1; distance < length; distance += 1) {
    if (from + distance < length) order.push(from + distance);
    if (from - distance >= 0) order.push(from - distance);
  }
  return order;
}
