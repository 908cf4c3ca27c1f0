/** How fast a stack is meant to be played (PS3.3 C.7.6.5, C.7.6.16). */
import type { Stack } from "./displaysets";
import { TAG, number, numbers, text, type DicomObject } from "./model";

const FASTEST = 60;
const PLAIN_STACK = 10;
const MULTI_FRAME = 25;

/** From 1 to 60; what tells no rate plays at one that is usual. */
export function framesPerSecond(stack: Stack): number {
  const rate = toldRate(stack.frames[0]?.instance) ?? (stack.multiFrame ? MULTI_FRAME : PLAIN_STACK);
  return Math.min(FASTEST, Math.max(1, Math.round(rate)));
}

/** Frames per second as the object tells it; undefined where it does not. */
export function toldRate(instance: DicomObject | undefined): number | undefined {
  const vector = meanFrameTime(instance);
  const frameTime = number(instance, TAG.frameTime);
  // Where both are there, the pointer says which of them is meant (PS3.3 C.7.6.6).
  const isVector = text(instance, TAG.frameIncrementPointer)?.toUpperCase() === TAG.frameTimeVector;
  const times = isVector ? [vector, frameTime] : [frameTime, vector];
  const rates = [number(instance, TAG.recommendedDisplayFrameRate), number(instance, TAG.cineRate), ...times.map(perSecond)];
  return rates.find((rate) => rate !== undefined && rate > 0);
}

function perSecond(milliseconds: number | undefined): number | undefined {
  return milliseconds !== undefined && milliseconds > 0 ? 1000 / milliseconds : undefined;
}

/** Between one frame and the next, in ms. The first value of the vector is the time before the first frame (PS3.3 C.7.6.5.1.2). */
function meanFrameTime(instance: DicomObject | undefined): number | undefined {
  const increments = numbers(instance, TAG.frameTimeVector).slice(1);
  return increments.length > 0 ? increments.reduce((sum, one) => sum + one, 0) / increments.length : undefined;
}
