/**
 * The pictures a volume is cut into: along its own axes, or in a plane that a hand has turned out of them.
 *
 * All in mm of the patient; pictures of either kind are counted from 0 and walked through alike.
 */
import { difference, length, moved, opposite, pointAt, unit, type Plane } from "./geometry";
import type { Vector3 } from "./model";
import { cross, dot } from "./orientation";
import { pointOf, sliceAt, sliceOf, slicing, voxelOf, type Cut, type Projection, type Volume } from "./volume";

export interface Cutting {
  readonly count: number;
  /** Between two pictures, in mm. */
  readonly stepMm: number;
  planeAt(index: number): Plane;
  /** Of the picture nearest to a point, within the volume. */
  indexAt(point: Vector3): number;
}

/** A cut that is turned: unit vectors at right angles to the right and down, and a point that one picture holds. */
export interface Turned {
  readonly right: Vector3;
  readonly down: Vector3;
  readonly pivot: Vector3;
}

/** Layers of voxels as they were measured. */
export function straightCutting(volume: Volume, cut: Cut): Cutting {
  const way = slicing(volume, cut);
  return {
    count: way.count,
    stepMm: way.stepMm,
    planeAt: (index) => sliceOf(volume, way, index),
    indexAt: (point) => sliceAt(volume, way, point),
  };
}

/** Pictures between voxels, as fine as the finest spacing of the volume, which run the way that `cut` runs. */
export function turnedCutting(volume: Volume, cut: Cut, { right, down, pivot }: Turned): Cutting {
  const normal = cross(right, down);
  const through = runsAlongNormal(volume, cut) ? normal : opposite(normal);
  const stepMm = Math.min(...volume.spacing);
  const corners = cornersOf(volume).map((corner) => difference(corner, pivot));
  const reach = (direction: Vector3) => {
    const places = corners.map((corner) => dot(corner, direction));
    return [Math.min(...places), Math.max(...places)] as const;
  };
  const [[left, rightEnd], [top, bottom], [near, far]] = [reach(right), reach(down), reach(through)];
  // Corners are those of the outer voxels, and a rounding should not add a picture of nothing.
  const before = Math.max(0, Math.floor(-near / stepMm + ROUNDING));
  const count = before + Math.max(0, Math.floor(far / stepMm + ROUNDING)) + 1;
  const size = (from: number, to: number) => Math.max(1, Math.ceil((to - from) / stepMm - ROUNDING));
  return {
    count,
    stepMm,
    planeAt: (index) => ({
      origin: moved(pivot, [right, left + stepMm / 2], [down, top + stepMm / 2], [through, (index - before) * stepMm]),
      row: right,
      column: down,
      normal,
      spacing: [stepMm, stepMm],
      columns: size(left, rightEnd),
      rows: size(top, bottom),
    }),
    indexAt(point) {
      const at = before + Math.round(dot(difference(point, pivot), through) / stepMm);
      return Math.max(0, Math.min(count - 1, at));
    },
  };
}

const ROUNDING = 1e-6;

/**
 * The values of a picture row by row, or of a slab around it as it is projected, each between eight voxels; NaN
 * outside of the middles of the outer voxels. What of a slab is there is not counted.
 */
export function planeValues(
  volume: Volume,
  cutting: Cutting,
  index: number,
  slab: { readonly slices: number; readonly projection: Projection } | null,
  valueAt: (voxel: Vector3) => number | undefined,
): Float64Array {
  const half = slab ? slab.slices >> 1 : 0;
  const planes = Array.from({ length: 2 * half + 1 }, (_, n) => cutting.planeAt(index - half + n));
  const { columns, rows } = planes[half]!;
  const values = new Float64Array(columns * rows);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const held = planes.map((plane) => interpolated(voxelOf(volume, pointAt(plane, column, row)), valueAt));
      const found = held.filter((value) => value !== undefined);
      values[row * columns + column] = found.length === 0 ? NaN : projected(found, slab?.projection ?? "mean");
    }
  }
  return values;
}

function projected(values: readonly number[], projection: Projection): number {
  if (projection === "greatest") return Math.max(...values);
  if (projection === "least") return Math.min(...values);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function interpolated(place: Vector3, valueAt: (voxel: Vector3) => number | undefined): number | undefined {
  const low = place.map((part) => Math.floor(part + ROUNDING)) as [number, number, number];
  const share = place.map((part, axis) => Math.max(0, part - low[axis]!)) as [number, number, number];
  let sum = 0;
  for (let corner = 0; corner < 8; corner += 1) {
    const step = [corner & 1, (corner >> 1) & 1, corner >> 2] as const;
    const weight = step.reduce((product: number, one, axis) => product * (one ? share[axis]! : 1 - share[axis]!), 1);
    if (weight <= ROUNDING) continue;
    const value = valueAt([low[0] + step[0], low[1] + step[1], low[2] + step[2]]);
    if (value === undefined) return undefined;
    sum += value * weight;
  }
  return sum;
}

/** The outer edges of its corner voxels. */
function cornersOf(volume: Volume): readonly Vector3[] {
  const ends = volume.dimensions.map((count) => [-0.5, count - 0.5] as const);
  return ends[0]!.flatMap((i) => ends[1]!.flatMap((j) => ends[2]!.map((k) => pointOf(volume, [i, j, k]))));
}

/** Whether pictures of a straight cut follow one another the way their normal points. */
function runsAlongNormal(volume: Volume, cut: Cut): boolean {
  const way = slicing(volume, cut);
  const { normal } = sliceOf(volume, way, 0);
  return dot(volume.axes[way.through.axis], normal) * way.through.sign > 0;
}

export function centreOf(volume: Volume): Vector3 {
  const [columns, rows, layers] = volume.dimensions;
  return pointOf(volume, [(columns - 1) / 2, (rows - 1) / 2, (layers - 1) / 2]);
}

/** A direction turned about a unit axis, by an angle that is counted as a screw's that drives along the axis. */
export function rotated(direction: Vector3, axis: Vector3, angle: number): Vector3 {
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const aside = cross(axis, direction);
  const along = dot(axis, direction) * (1 - cosine);
  const [x, y, z] = [0, 1, 2].map(
    (part) => direction[part]! * cosine + aside[part]! * sine + axis[part]! * along,
  ) as [number, number, number];
  return unit([x, y, z]);
}

/** Planes that meet at less than about this many degrees meet nowhere that is of use. */
const SLIM = Math.sin((3 * Math.PI) / 180);

/** The point that three planes have in common; undefined where two of them are parallel, or nearly. */
export function meeting(a: Plane, b: Plane, c: Plane): Vector3 | undefined {
  const line = cross(b.normal, c.normal);
  const volume = dot(a.normal, line);
  if (length(line) < SLIM || Math.abs(volume) < SLIM) return undefined;
  const [ab, bc, ca] = [cross(a.normal, b.normal), line, cross(c.normal, a.normal)];
  const away = (plane: Plane) => dot(plane.origin, plane.normal) / volume;
  return moved([0, 0, 0], [bc, away(a)], [ca, away(b)], [ab, away(c)]);
}
