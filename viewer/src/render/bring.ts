/** Brings images into Cornerstone's cache. Its own way leaves promises behind that nobody listens to. */
import { cache, imageLoader } from "@cornerstonejs/core";
import type { OnEarly } from "./early";
import { isHere } from "./here";
import { SCHEME } from "./imageids";
import { loadFrame } from "./loader";

/** How many wait for an image that is on its way: a stack and a volume may want the same. */
const waiting = new Map<string, number>();

/** Resolves once it is in the cache. `ahead`: nobody waits for it yet. `onEarly` may be given a picture of it before. */
export async function bring(imageId: string, ahead: boolean, onEarly?: OnEarly): Promise<void> {
  waiting.set(imageId, (waiting.get(imageId) ?? 0) + 1);
  try {
    await brought(imageId, ahead, onEarly);
  } finally {
    const left = waiting.get(imageId)! - 1;
    if (left > 0) waiting.set(imageId, left);
    else waiting.delete(imageId);
  }
}

async function brought(imageId: string, ahead: boolean, onEarly: OnEarly | undefined): Promise<void> {
  const coming = cache.getImageLoadObject(imageId);
  if (coming) {
    await coming.promise;
    return;
  }
  if (isHere(imageId)) return;
  const options = { ahead, useRGBA: false };
  const isOfServer = imageId.startsWith(`${SCHEME}:`);
  const loading = isOfServer
    ? loadFrame(imageId, { ...options, onEarly })
    : { promise: imageLoader.loadImage(imageId, options as never), cancelFn() {} };
  await cache.putImageLoadObject(imageId, loading as never);
}

/** One of those who wait for it no longer wants it; it goes on coming for others. */
export function cancel(imageId: string): void {
  if ((waiting.get(imageId) ?? 0) <= 1) imageLoader.cancelLoadImage(imageId);
}
