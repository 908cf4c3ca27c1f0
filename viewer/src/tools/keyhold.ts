/**
 * Moving the image, and its brightness and contrast, with the keys alone: with that tool in hand Enter takes hold, arrows
 * do what a drag that way does, Enter or Escape lets go. Until then arrows are for the images, as always.
 */
import { createSignal } from "solid-js";
import type { Point } from "./gestures";
import { WAYS } from "./keyhand";
import type { DragTool } from "./mouse";

/** In pixels of a drag: a thirtieth of a window's width. */
const STEP_PX = 10;
const LONG_STEP_PX = 50;

const HELD_BY_KEY = ["window", "pan"] as const;
export type HeldTool = (typeof HELD_BY_KEY)[number];

/** A key, the tool in hand when it is pressed, and what is done to the image. */
export interface HoldPress {
  readonly key: string;
  readonly shift: boolean;
  readonly tool: DragTool;
  /** Whether there is an image that this can be done to. */
  readonly can: (tool: HeldTool) => boolean;
  readonly drag: (tool: HeldTool, delta: Point) => void;
}

export type KeyHold = ReturnType<typeof createKeyHold>;

export function createKeyHold() {
  const [held, setHeld] = createSignal<HeldTool | null>(null);
  const letGo = () => void setHeld(null);
  return {
    held,
    letGo,
    /** Whether the key was for this hand. */
    press({ key, shift, tool, can, drag }: HoldPress): boolean {
      const now = held();
      if (now === null) {
        const wanted = key === "Enter" ? HELD_BY_KEY.find((one) => one === tool && can(one)) : undefined;
        if (wanted) setHeld(wanted);
        return wanted !== undefined;
      }
      const way = WAYS[key];
      const step = shift ? LONG_STEP_PX : STEP_PX;
      if (way) drag(now, { x: way[0] * step, y: way[1] * step });
      else if (key === "Enter" || key === "Escape") letGo();
      else return false;
      return true;
    },
  };
}
