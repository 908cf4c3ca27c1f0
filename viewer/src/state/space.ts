/**
 * Where measurements are seen: one of an image on that image, one of a cut on every cut that it lies in.
 */
import { pixelOf, pointAt, type Plane } from "../dicom/geometry";
import { outlines, type ImagePoint, type Spacing } from "../dicom/measure";
import type { Vector3 } from "../dicom/model";
import { isSameImage, type ImageReference, type Measurement } from "./measurements";

/** A cut through a volume: its plane, and how far its voxels reach on each side of it. */
export interface Slice {
  readonly plane: Plane;
  readonly halfMm: number;
}

/** What is looked at. */
export interface Where {
  readonly image: ImageReference;
  /** Undefined for an image as it was taken. */
  readonly slice?: Slice | undefined;
}

/** The measurement in pixels of what is looked at; undefined where it does not lie there. */
export function seenOn(one: Measurement, { image, slice }: Where): Measurement | undefined {
  if (!one.plane) return !slice && isSameImage(one.image, image) ? one : undefined;
  if (!slice || !image.frameOfReferenceUid || one.image.frameOfReferenceUid !== image.frameOfReferenceUid) return undefined;
  if (isSamePlane(one.plane, slice.plane)) return one;
  const { plane, halfMm } = slice;
  const place = (point: ImagePoint) => pixelOf(plane, pointAt(one.plane!, point.x, point.y));
  const isIn = ({ distance }: { readonly distance: number }) => Math.abs(distance) <= halfMm;
  // Of a circle the points say less than its line does.
  if (!outlines(one.kind, one.points, one.spacing).every(({ points }) => points.every((point) => isIn(place(point))))) return undefined;
  const points = one.points.map(place);
  if (!points.every(isIn)) return undefined;
  return { ...one, points: points.map(({ x, y }) => ({ x, y })), spacing: spacingOn(plane), plane };
}

export function isSameWhere(a: Where, b: Where): boolean {
  const planes = a.slice && b.slice ? isSamePlane(a.slice.plane, b.slice.plane) : a.slice === b.slice;
  return planes && isSameImage(a.image, b.image);
}

/** The middle of a measurement of a cut, in the patient. */
export function middleOf({ plane, points }: Measurement): Vector3 | undefined {
  const first = points[0];
  if (!plane || !first) return undefined;
  const mean = (axis: "x" | "y") => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  return pointAt(plane, mean("x"), mean("y"));
}

export function spacingOn({ spacing }: Plane): Spacing {
  return { x: spacing[0], y: spacing[1], unit: "mm", atDetector: false };
}

function isSamePlane(a: Plane, b: Plane): boolean {
  const isSame = (one: readonly number[], other: readonly number[]) => one.every((value, axis) => value === other[axis]);
  return isSame(a.origin, b.origin) && isSame(a.row, b.row) && isSame(a.column, b.column) && isSame(a.spacing, b.spacing);
}
