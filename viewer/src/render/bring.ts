/** Brings images into Cornerstone's cache. Its own way leaves promises behind that nobody listens to. */
import { cache, imageLoader } from "@cornerstonejs/core";
import type { OnEarly } from "./early";
import { SCHEME } from "./imageids";
import { loadFrame } from "./loader";

export function isHere(imageId: string): boolean {
  return cache.getImage(imageId) !== undefined;
}

/** How many wait for an image. */
const waiting = new Map<string, number>();

/** Resolves once it is in the cache. `ahead`: nobody waits for it yet. `onEarly` may be given a picture of it before. */
export async function bring(imageId: string, ahead: boolean, onEarly?: OnEarly): Promise<void> {
  if (!cache.getImageLoadObject(imageId) && isHere(imageId)) return;
  waiting.set(imageId, (waiting.get(imageId) ?? 0) + 1);
  try {
    await coming(imageId, ahead, onEarly);
  } finally {
    const left = waiting.get(imageId)! - 1;
    if (left > 0) waiting.set(imageId, left);
    else waiting.delete(imageId);
  }
}

async function coming(imageId: string, ahead: boolean, onEarly: OnEarly | undefined): Promise<unknown> {
  const known = cache.getImageLoadObject(imageId);
  if (known) return await known.promise;
  const options = { ahead, useRGBA: false };
  const isOfServer = imageId.startsWith(`${SCHEME}:`);
  const loading = isOfServer
    ? loadFrame(imageId, { ...options, onEarly })
    : { promise: imageLoader.loadImage(imageId, options as never), cancelFn() {} };
  return await cache.putImageLoadObject(imageId, loading as never);
}

export function cancel(imageId: string): void {
  imageLoader.cancelLoadImage(imageId);
}

/** Of one that somebody waits for and wants no more; whoever else waits for it is given it. */
export function abandon(imageId: string): void {
  if (waiting.get(imageId) === 1) cancel(imageId);
}
