/** Whether an image is in Cornerstone's cache, all of it. */
import { cache } from "@cornerstonejs/core";

export function isHere(imageId: string): boolean {
  return cache.getImage(imageId) !== undefined;
}
