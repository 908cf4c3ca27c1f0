/** How fast a stack is meant to be played (PS3.3 C.7.6.5, C.7.6.16). */
import type { Stack } from "./displaysets";
import { TAG, number } from "./model";

const FASTEST = 60;
const PLAIN_STACK = 10;
const MULTI_FRAME = 25;

export function framesPerSecond(stack: Stack): number {
  const instance = stack.frames[0]?.instance;
  const frameTimeMs = number(instance, TAG.frameTime);
  const asked =
    number(instance, TAG.recommendedDisplayFrameRate) ??
    number(instance, TAG.cineRate) ??
    (frameTimeMs ? 1000 / frameTimeMs : undefined);
  const rate = asked && asked > 0 ? asked : stack.multiFrame ? MULTI_FRAME : PLAIN_STACK;
  return Math.min(FASTEST, Math.max(1, Math.round(rate)));
}
