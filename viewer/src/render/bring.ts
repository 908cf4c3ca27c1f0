/** Brings images into Cornerstone's cache. Its own way leaves promises behind that nobody listens to. */
import { cache, imageLoader } from "@cornerstonejs/core";
import { SCHEME } from "./imageids";
import { loadFrame } from "./loader";

export function isHere(imageId: string): boolean {
  return cache.getImage(imageId) !== undefined;
}

/** Resolves once it is in the cache. `ahead`: nobody waits for it yet. */
export async function bring(imageId: string, ahead: boolean): Promise<void> {
  const coming = cache.getImageLoadObject(imageId);
  if (coming) {
    await coming.promise;
    return;
  }
  if (isHere(imageId)) return;
  const options = { ahead, useRGBA: false };
  const isOfServer = imageId.startsWith(`${SCHEME}:`);
  const loading = isOfServer ? loadFrame(imageId, options) : { promise: imageLoader.loadImage(imageId, options as never), cancelFn() {} };
  await cache.putImageLoadObject(imageId, loading as never);
}

export function cancel(imageId: string): void {
  imageLoader.cancelLoadImage(imageId);
}
