/**
 * Shapes as spatial coordinates of a structured report (PS3.3 C.18.6).
 *
 * There (column, row) is counted from the top left corner of the first pixel, here from its centre:
 * this is the one place that knows both.
 */
import { circleAxes, type ImagePoint, type Kind, type Spacing } from "./measure";

export interface SpatialCoordinates {
  readonly graphicType: "POINT" | "POLYLINE" | "CIRCLE" | "ELLIPSE";
  /** Column and row of each point, one after the other. */
  readonly graphicData: readonly number[];
}

const HALF_PIXEL = 0.5;

export function toScoord(kind: Kind, points: readonly ImagePoint[], spacing: Spacing): readonly SpatialCoordinates[] {
  const made = (graphicType: SpatialCoordinates["graphicType"], ...ends: readonly ImagePoint[]) => ({
    graphicType,
    graphicData: ends.flatMap(({ x, y }) => [x + HALF_PIXEL, y + HALF_PIXEL]),
  });
  switch (kind) {
    case "probe":
      return [made("POINT", points[0]!)];
    case "bidirectional":
    case "cobb":
      return [made("POLYLINE", ...points.slice(0, 2)), made("POLYLINE", ...points.slice(2, 4))];
    case "rectangle":
    case "freehand":
      // An area is a polyline whose last point is its first.
      return [made("POLYLINE", ...points, points[0]!)];
    case "circle":
      return spacing.x === spacing.y
        ? [made("CIRCLE", ...points)]
        : [made("ELLIPSE", ...majorFirst(circleAxes(points, spacing)))];
    case "ellipse":
      return [made("ELLIPSE", ...majorFirst(points))];
    default:
      return [made("POLYLINE", ...points)];
  }
}

export function fromScoord(data: readonly number[]): readonly ImagePoint[] {
  return Array.from({ length: Math.floor(data.length / 2) }, (_, index) => ({
    x: data[2 * index]! - HALF_PIXEL,
    y: data[2 * index + 1]! - HALF_PIXEL,
  }));
}

function majorFirst([a, b, c, d]: readonly ImagePoint[]): readonly ImagePoint[] {
  const size = (p: ImagePoint, q: ImagePoint) => Math.hypot(q.x - p.x, q.y - p.y);
  return size(a!, b!) >= size(c!, d!) ? [a!, b!, c!, d!] : [c!, d!, a!, b!];
}
