/**
 * Brings the rest of a stack while one of its images is looked at: what lies ahead first, a few at a time, and
 * never more than the cache holds. Of a stack that is larger, a window around the person is held.
 */
import { cache } from "@cornerstonejs/core";
import { ApiError } from "../api/http";
import { farness, nextWanted, windowAround, type Direction } from "../state/order";
import { bring, cancel } from "./bring";
import { isOutOfMemory } from "../state/memory";
import { bytesForStack } from "./budget";
import { isHere } from "./here";
import { withRoom } from "./room";

export interface Progress {
  readonly loaded: number;
  readonly total: number;
  /** How many images of the stack are kept together, where that is not all of them. */
  readonly room?: number | undefined;
}

export interface Prefetch {
  /** The person has gone to this image: what is far from it is no longer wanted. */
  around(index: number, direction: Direction): void;
  stop(): void;
}

/** A browser opens six connections; one stays free for the image the person goes to next. */
const AT_A_TIME = 5;
/** What is on its way is let come within so many images; on a slow link the ones that are seen need the room. */
const STILL_NEAR = 24;
/** The stacks of which images are held for somebody, by the first of each: two viewports may show one. */
const coming = new Map<object, string>();

export function prefetchStack(
  imageIds: readonly string[],
  from: number,
  bytesPerImage: number,
  onProgress: (progress: Progress) => void,
  /** All images of the stack have come. */
  onComplete: () => void,
): Prefetch {
  const length = imageIds.length;
  const ids = new Set(imageIds);
  const own = {};
  coming.set(own, imageIds[0]!);
  /** How many images there is room for beside what else is looked at. */
  const most = () => Math.max(1, Math.floor(bytesForStack(ids, new Set(coming.values()).size) / Math.max(1, bytesPerImage)));
  let [at, direction]: [number, Direction] = [from, 1];
  let working = 0;
  let stopped = false;
  /** All that is wanted now is here, or the server or memory is not, until the person goes on. */
  let isResting = false;
  /** All images are here, or cannot be had. */
  let isOver = false;
  // The image in view was asked for already; if it cannot be had, it is not asked for twice.
  const done = new Set<number>([from]);
  const failed = new Set<number>([from]);
  const underWay = new Set<number>();

  const isMissing = (index: number) =>
    !underWay.has(index) && !failed.has(index) && !cache.getImageLoadObject(imageIds[index]!);

  function tell(): void {
    const room = most();
    const total = Math.min(length, room) - 1;
    onProgress({ loaded: Math.min(total, done.size - 1), total, room: room < length ? room : undefined });
  }

  async function work(): Promise<void> {
    const next = () => (stopped || isResting ? undefined : nextWanted(length, at, direction, most(), isMissing));
    let index = next();
    if (index === undefined && working > 0) return;
    working += 1;
    for (; index !== undefined; index = next()) {
      underWay.add(index);
      const outcome = await fetchOne(imageIds[index]!);
      // What was cancelled is wanted again when the person comes back.
      if (!underWay.delete(index)) continue;
      if (outcome === "not now") isResting = true;
      else done.add(index);
      if (outcome === "failed") failed.add(index);
      if (!stopped) tell();
    }
    working -= 1;
    if (working > 0 || stopped || isResting) return;
    isResting = true;
    // A volume brings images of the same stack.
    const brought = imageIds.filter((id) => !isHere(id)).flatMap((id) => cache.getImageLoadObject(id) ?? []);
    if (brought.length > 0) {
      await Promise.allSettled(brought.map(({ promise }) => promise));
      isResting = false;
      return start();
    }
    imageIds.forEach((id, one) => isHere(id) && done.add(one));
    tell();
    if (done.size < length) return;
    isOver = true;
    if (imageIds.every(isHere)) onComplete();
  }

  function start(): void {
    if (length > 1) for (let more = AT_A_TIME - working; more > 0; more -= 1) void work();
  }

  start();
  return {
    around(index, towards) {
      if (isOver) return;
      [at, direction] = [index, towards];
      for (const one of underWay) {
        if (farness(one, at, direction) <= STILL_NEAR) continue;
        underWay.delete(one);
        cancel(imageIds[one]!);
      }
      const room = most();
      if (room < length) letGo(imageIds, windowAround(length, at, direction, room));
      isResting = false;
      start();
    },
    stop() {
      stopped = true;
      coming.delete(own);
      for (const one of underWay) cancel(imageIds[one]!);
      underWay.clear();
    },
  };
}

const bringAhead = (imageId: string): Promise<void> => withRoom(imageId, true, () => bring(imageId, true));

/** Images outside of the window make room for those that come into it. */
function letGo(imageIds: readonly string[], [from, to]: readonly [number, number]): void {
  imageIds.forEach((id, index) => {
    if ((index < from || index >= to) && isHere(id)) cache.removeImageLoadObject(id);
  });
}

/** What cannot be had is said where it matters: when the person comes to this image. */
async function fetchOne(imageId: string): Promise<"here" | "failed" | "not now"> {
  try {
    await bringAhead(imageId);
    return "here";
  } catch (error) {
    return isOutOfMemory(error) || (error instanceof ApiError && error.status === 0) ? "not now" : "failed";
  }
}

/** Brings all of them, in this order. Fails with the first that fails, whose id is then `imageId` of what is thrown. */
export async function fetchAll(imageIds: readonly string[], onProgress: (progress: Progress, imageId: string) => void): Promise<void> {
  const left = [...imageIds];
  let loaded = 0;
  async function work(): Promise<void> {
    for (let imageId = left.shift(); imageId !== undefined; imageId = left.shift()) {
      try {
        await bringAhead(imageId);
      } catch (error) {
        left.length = 0;
        throw new NotFetched(imageId, error);
      }
      loaded += 1;
      onProgress({ loaded, total: imageIds.length }, imageId);
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
