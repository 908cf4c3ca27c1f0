/**
 * How a hand draws a shape, point after point: by a drag, or by a press for each point with the line
 * following in between. A value; every act gives the next one.
 */
import type { ImagePoint, Kind } from "../dicom/measure";

export interface Drawing {
  readonly kind: Kind;
  readonly placed: readonly ImagePoint[];
  /** Where the hand is: the point that would come next. */
  readonly live: ImagePoint;
}

/** How many points a hand places; the rest of a shape follows from them. A spline ends where it is told to. */
const PLACED: Readonly<Record<Exclude<Kind, "freehand">, number>> = {
  length: 2,
  bidirectional: 2,
  angle: 3,
  cobb: 4,
  ellipse: 2,
  rectangle: 2,
  circle: 2,
  spline: Infinity,
  arrow: 2,
  probe: 1,
};

export function press(drawing: Drawing | undefined, kind: Kind, at: ImagePoint): Drawing {
  if (!drawing) return { kind, placed: kind === "probe" ? [] : [at], live: at };
  // The second line of two has a beginning of its own.
  const begins = kind === "cobb" && drawing.placed.length === 2;
  return { ...drawing, placed: begins ? [...drawing.placed, at] : drawing.placed, live: at };
}

/** The hand moved; `isFar` says whether as far from the last point as two points are apart at least. */
export function follow(drawing: Drawing, at: ImagePoint, isHeld: boolean, isFar: boolean): Drawing {
  const adds = drawing.kind === "freehand" && isHeld && isFar;
  return { ...drawing, placed: adds ? [...drawing.placed, at] : drawing.placed, live: at };
}

const FEWEST_CORNERS = 3;

/**
 * The hand let go: the shape goes on, or it is done, or nothing has become of it. A spline is done where a point
 * is set twice, or the first one again (`isFirst`).
 */
export function release(drawing: Drawing, at: ImagePoint, isFar: boolean, isFirst = false): Drawing | "done" | "nothing" {
  const isShape = drawing.placed.length >= FEWEST_CORNERS;
  if (drawing.kind === "freehand") return isShape ? "done" : "nothing";
  if (drawing.kind === "spline" && isShape && (isFirst || !isFar)) return "done";
  const placed = drawing.kind === "probe" || isFar ? [...drawing.placed, at] : drawing.placed;
  return placed.length >= PLACED[drawing.kind] ? "done" : { ...drawing, placed, live: at };
}

/** The points to draw now, the one under the hand among them. */
export function seen({ kind, placed, live }: Drawing): readonly ImagePoint[] {
  if (kind === "freehand") return placed;
  const last = placed.at(-1);
  const betweenLines = kind === "cobb" && placed.length === 2;
  return betweenLines || (last && last.x === live.x && last.y === live.y) ? placed : [...placed, live];
}
