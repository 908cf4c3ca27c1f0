/**
 * Where the pixels of a frame are in the patient, and where two planes meet (PS3.3 C.7.6.2.1.1).
 *
 * All in millimetres of the patient's coordinate system. What lacks position, orientation or spacing
 * has no plane, and what is asked about it has the answer `undefined`.
 */
import type { FrameDescription } from "./frame";
import type { Vector3 } from "./model";
import { cross, dot } from "./orientation";

export interface Plane {
  /** Centre of the first pixel. */
  readonly origin: Vector3;
  /** Unit vectors: along a row, down a column, and across both. */
  readonly row: Vector3;
  readonly column: Vector3;
  readonly normal: Vector3;
  /** Between columns and between rows. */
  readonly spacing: readonly [x: number, y: number];
  readonly columns: number;
  readonly rows: number;
}

export function planeOf(frame: FrameDescription): Plane | undefined {
  const { orientation, positionMm, spacingMm } = frame;
  if (!orientation || !positionMm || !spacingMm) return undefined;
  const row = unit(orientation.row);
  const column = unit(orientation.column);
  const normal = unit(cross(row, column));
  if (!row || !column || !normal) return undefined;
  const spacing = [spacingMm[1], spacingMm[0]] as const;
  return { origin: positionMm, row, column, normal, spacing, columns: frame.columns, rows: frame.rows };
}

export function pointAt(plane: Plane, x: number, y: number): Vector3 {
  return added(added(plane.origin, plane.row, x * plane.spacing[0]), plane.column, y * plane.spacing[1]);
}

/** Column and row, as fractions of pixels, of the point's foot in the plane, and its distance. */
export function pixelOf(plane: Plane, point: Vector3): { readonly x: number; readonly y: number; readonly distance: number } {
  const way = difference(point, plane.origin);
  return {
    x: dot(way, plane.row) / plane.spacing[0],
    y: dot(way, plane.column) / plane.spacing[1],
    distance: dot(way, plane.normal),
  };
}

/** Planes within five degrees of one another are scrolled together. */
const PARALLEL = Math.cos((5 * Math.PI) / 180);

export function areParallel(a: Plane, b: Plane): boolean {
  return Math.abs(dot(a.normal, b.normal)) > PARALLEL;
}

/** The index of the plane nearest to a point; undefined where no plane is known. */
export function nearestPlane(planes: readonly (Plane | undefined)[], point: Vector3): number | undefined {
  let best: number | undefined;
  let least = Infinity;
  planes.forEach((plane, index) => {
    if (!plane) return;
    const away = Math.abs(pixelOf(plane, point).distance);
    if (away < least) [best, least] = [index, away];
  });
  return best;
}

export type Line = readonly [Vector3, Vector3];

/**
 * Where the picture of `other` cuts that of `shown`: the ends of the line, inside of `other`'s
 * picture. Undefined for parallel planes and for pictures that do not meet.
 */
export function cut(shown: Plane, other: Plane): Line | undefined {
  if (areParallel(shown, other)) return undefined;
  const corners = [
    pointAt(other, -0.5, -0.5),
    pointAt(other, other.columns - 0.5, -0.5),
    pointAt(other, other.columns - 0.5, other.rows - 0.5),
    pointAt(other, -0.5, other.rows - 0.5),
  ];
  const sides = corners.map((corner) => dot(difference(corner, shown.origin), shown.normal));
  const ends: Vector3[] = [];
  for (let index = 0; index < 4; index += 1) {
    const next = (index + 1) % 4;
    const [a, b] = [sides[index]!, sides[next]!];
    if (a * b > 0 || a === b) continue;
    const point = between(corners[index]!, corners[next]!, a / (a - b));
    if (!ends.some((end) => length(difference(end, point)) < 1e-6)) ends.push(point);
  }
  return ends.length === 2 ? [ends[0]!, ends[1]!] : undefined;
}

/** Points lie in one plane where none is farther from it: what is kept is rounded, and reports are of single precision. */
const IN_PLANE_MM = 0.05;

/**
 * The plane through points, turned as pictures are by custom: left or back to the right, back or feet
 * below. Its pixels are millimetres, the first point is its first pixel. Points on one line lie in many; an axial
 * one is then preferred. Undefined for points that lie in no one plane.
 */
export function planeThrough(points: readonly Vector3[]): Plane | undefined {
  const [origin] = points;
  if (!origin) return undefined;
  const ways = points.map((point) => difference(point, origin));
  const longest = ways.reduce((best, way) => (length(way) > length(best) ? way : best), ways[0]!);
  const crossed = ways.map((way) => cross(longest, way));
  const widest = crossed.reduce((best, one) => (length(one) > length(best) ? one : best), crossed[0]!);
  const isFlat = length(widest) > IN_PLANE_MM * length(longest);
  const normal = isFlat ? unit(widest) : acrossTo(longest);
  const sizes = normal.map(Math.abs);
  const [right, down] = CUSTOMS[sizes.indexOf(Math.max(sizes[0]!, sizes[1]!, sizes[2]!))]!;
  const row = unit(added(right, normal, -dot(right, normal)));
  const aside = cross(normal, row);
  const column: Vector3 = dot(aside, down) > 0 ? aside : [-aside[0], -aside[1], -aside[2]];
  const plane: Plane = { origin, row, column, normal: cross(row, column), spacing: [1, 1], columns: 1, rows: 1 };
  return points.every((point) => Math.abs(pixelOf(plane, point).distance) <= IN_PLANE_MM) ? plane : undefined;
}

/** What is to the right and below by custom in planes across each axis of the patient: sagittal, coronal, axial. */
const CUSTOMS: readonly (readonly [right: Vector3, down: Vector3])[] = [
  [[0, 1, 0], [0, 0, -1]],
  [[1, 0, 0], [0, 0, -1]],
  [[1, 0, 0], [0, 1, 0]],
];

/** Of the directions at right angles to one, that which is nearest to an axis: the head's, the back's, the left's. */
function acrossTo(direction: Vector3): Vector3 {
  if (length(direction) === 0) return [0, 0, 1];
  const along = unit(direction);
  const axes: readonly Vector3[] = [[0, 0, 1], [0, 1, 0], [1, 0, 0]];
  const rests = axes.map((axis) => added(axis, along, -dot(axis, along)));
  return unit(rests.reduce((best, rest) => (length(rest) > length(best) + 1e-9 ? rest : best), rests[0]!));
}

export function difference(a: Vector3, b: Vector3): Vector3 {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

export function length(vector: Vector3): number {
  return Math.hypot(...vector);
}

/** A point, and where so many mm along each of some directions lead from it. */
export function moved(from: Vector3, ...steps: readonly (readonly [direction: Vector3, mm: number])[]): Vector3 {
  return steps.reduce((to, [direction, mm]) => added(to, direction, mm), from);
}

function added(to: Vector3, direction: Vector3, by: number): Vector3 {
  return [to[0] + direction[0] * by, to[1] + direction[1] * by, to[2] + direction[2] * by];
}

function between(a: Vector3, b: Vector3, share: number): Vector3 {
  return added(a, difference(b, a), share);
}

/** The same direction, one mm long; undefined for none at all, which callers with a direction need not ask about. */
export function unit(vector: Vector3): Vector3;
export function unit(vector: Vector3): Vector3 | undefined {
  const size = length(vector);
  return size > 1e-6 ? [vector[0] / size, vector[1] / size, vector[2] / size] : undefined;
}

export function opposite([x, y, z]: Vector3): Vector3 {
  return [-x, -y, -z];
}
