/**
 * Measuring with the keys alone: a cross on the image that arrows move, pixel by pixel, and Enter sets.
 *
 * With a measuring tool in hand Enter shows the cross in the middle of the image, then sets a point each time.
 * With the 3D cursor in hand it is set there. With another tool it takes hold of the points of the selected
 * measurement, one after the other.
 */
import { createSignal } from "solid-js";
import { isKind, within, type ImagePoint } from "../dicom/measure";
import { isSameWhere, type Where } from "../state/space";
import type { Measuring, Sight } from "./measuring";
import type { DragTool } from "./mouse";

const STEP = 1;
const LONG_STEP = 10;

/** Where arrow keys point on the screen. */
export const WAYS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Where the keys are, and what they do there. */
export interface Cross {
  readonly at: ImagePoint;
  readonly where: Where;
  /** Which point of the selected measurement they hold; undefined while they draw. */
  readonly held: number | undefined;
}

/** A key, and what is looked at and in hand when it is pressed. */
export interface KeyPress {
  readonly key: string;
  readonly shift: boolean;
  readonly tool: DragTool;
  readonly sight: Sight | undefined;
  /** Where the middle of what is seen lies, as far as it shows the image. */
  readonly middle: ImagePoint | undefined;
  /** The 3D cursor is to be there. */
  readonly point: (at: ImagePoint) => void;
}

/** Whether a cross stands for what is in hand, whatever is selected. */
const aims = (tool: DragTool): boolean => isKind(tool) || tool === "cursor";

export type KeyHand = ReturnType<typeof createKeyHand>;

export function createKeyHand(measuring: Measuring) {
  const [cross, setCross] = createSignal<Cross | null>(null);

  function at(point: ImagePoint, sight: Sight, held?: number): void {
    const { image, slice } = sight;
    setCross({ at: within(point, sight.columns, sight.rows), where: { image, slice }, held });
  }

  function putAway(): void {
    if (cross()?.held !== undefined) measuring.abandon();
    setCross(null);
  }

  function begin({ tool, sight, middle }: KeyPress): boolean {
    if (!sight) return false;
    if (aims(tool)) {
      at(rounded(middle ?? { x: (sight.columns - 1) / 2, y: (sight.rows - 1) / 2 }), sight);
      return true;
    }
    return takePoint(sight, 0);
  }

  function takePoint(sight: Sight, index: number): boolean {
    const point = measuring.takePoint(sight, index);
    if (point) at(point, sight, index);
    return point !== undefined;
  }

  function enter(now: Cross, sight: Sight, { tool, point }: KeyPress): void {
    if (now.held !== undefined) {
      measuring.dropPoint(sight);
      if (!takePoint(sight, now.held + 1)) setCross(null);
    } else if (isKind(tool)) {
      measuring.setPoint(tool, sight, now.at);
    } else {
      point(now.at);
    }
  }

  function move(now: Cross, sight: Sight, [x, y]: readonly [number, number], by: number): void {
    at({ x: now.at.x + x * by, y: now.at.y + y * by }, sight, now.held);
    const to = cross()!.at;
    if (now.held === undefined) measuring.aimAt(sight, to);
    else measuring.movePoint(sight, to);
  }

  return {
    cross,
    putAway,
    /** Whether the key was for this hand. */
    press(press: KeyPress): boolean {
      const { key, sight, tool } = press;
      const now = cross();
      if (now && (!sight || !isSameWhere(now.where, sight) || (now.held === undefined && !aims(tool)))) putAway();
      const still = cross();
      if (!still || !sight) return key === "Enter" && begin(press);
      const way = WAYS[key];
      if (way) move(still, sight, way, press.shift ? LONG_STEP : STEP);
      else if (key === "Enter") enter(still, sight, press);
      else if (key !== "Escape") return false;
      else if (!measuring.abandon() || still.held !== undefined) setCross(null);
      return true;
    },
  };
}

/** The centre of a pixel. */
function rounded({ x, y }: ImagePoint): ImagePoint {
  return { x: Math.round(x), y: Math.round(y) };
}
