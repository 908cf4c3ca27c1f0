/**
 * Where measurements are seen: on the image or the cut that they were made on, and on every other image and cut that
 * they lie in.
 */
import { sopInstanceUid as uidOf, type Stack } from "../dicom/displaysets";
import { describeFrame } from "../dicom/frame";
import { difference, nearestPlane, pixelOf, planeOf, pointAt, type Plane } from "../dicom/geometry";
import { outlines, type ImagePoint, type Spacing } from "../dicom/measure";
import type { Vector3 } from "../dicom/model";
import { dot } from "../dicom/orientation";
import { isSameImage, type ImageReference, type Measurement } from "./measurements";

/** A cut through a volume, or an image as it was taken: its plane, and how far its voxels reach on each side of it. */
export interface Slice {
  readonly plane: Plane;
  readonly halfMm: number;
}

/** What is looked at. */
export interface Where {
  readonly image: ImageReference;
  /** Undefined for an image as it was taken. */
  readonly slice?: Slice | undefined;
  /** Of an image as it was taken, where its place in the patient is known. */
  readonly lying?: Slice | undefined;
  /** Of a cut: where an image of its volume lies; undefined for one of another. */
  readonly planeOf?: ((image: ImageReference) => Plane | undefined) | undefined;
}

/** The measurement in pixels of what is looked at; undefined where it does not lie there. */
export function seenOn(one: Measurement, { image, slice, lying, planeOf }: Where): Measurement | undefined {
  if (!one.plane && !slice) return isSameImage(one.image, image) ? one : undefined;
  const [own, on] = [one.plane ?? planeOf?.(one.image), slice ?? lying];
  if (!own || !on || !image.frameOfReferenceUid || one.image.frameOfReferenceUid !== image.frameOfReferenceUid) return undefined;
  if (isSamePlane(own, on.plane)) return one.plane ? one : { ...one, plane: own };
  const { plane, halfMm } = on;
  const place = (point: ImagePoint) => pixelOf(plane, pointAt(own, point.x, point.y));
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

/** Closer than this, two images lie at one place. */
const SAME_PLACE_MM = 0.005;

/** Where an image of a stack lies, up to half of the way to the next; undefined where its header does not tell. */
export function lyingOf(stack: Stack, index: number): Slice | undefined {
  const plane = planeOfIndex(stack, index);
  if (!plane) return undefined;
  const ways = [index - 1, index + 1].flatMap((other) => planeOfIndex(stack, other) ?? []);
  const steps = ways.map(({ origin }) => Math.abs(dot(difference(origin, plane.origin), plane.normal))).filter((mm) => mm > SAME_PLACE_MM);
  const { instance, number } = stack.frames[index]!;
  const stepMm = steps.length > 0 ? Math.min(...steps) : describeFrame(instance, number).sliceThicknessMm;
  return { plane, halfMm: Math.max(SAME_PLACE_MM, (stepMm ?? 0) / 2) };
}

/** Where an image of a stack lies; undefined for one of another, and where its header does not tell. */
export function planeIn(stack: Stack, { sopInstanceUid, frame }: ImageReference): Plane | undefined {
  let places = placesIn.get(stack);
  if (!places) placesIn.set(stack, (places = new Map(stack.frames.map(({ instance, number }, at) => [`${uidOf(instance)} ${number}`, at]))));
  const index = places.get(`${sopInstanceUid} ${frame}`);
  return index === undefined ? undefined : planeOfIndex(stack, index);
}

/** Found once: they are asked for with every picture of a cut, and for every measurement. */
const placesIn = new WeakMap<Stack, Map<string, number>>();
const planesIn = new WeakMap<Stack, readonly (Plane | undefined)[]>();

function planeOfIndex(stack: Stack, index: number): Plane | undefined {
  const found = stack.frames[index];
  const frame = found && describeFrame(found.instance, found.number);
  return frame && !frame.spacingAtDetector ? planeOf(frame) : undefined;
}

/** The image of a stack on which a measurement in space is seen; undefined where there is none. */
export function imageWith(one: Measurement, stack: Stack): number | undefined {
  const point = middleOf(one);
  let planes = planesIn.get(stack);
  if (!planes) planesIn.set(stack, (planes = stack.frames.map((_, at) => planeOfIndex(stack, at))));
  const index = point && nearestPlane(planes, point);
  if (index === undefined) return undefined;
  return seenOn(one, { image: one.image, lying: lyingOf(stack, index) }) && index;
}

export function spacingOn({ spacing }: Plane): Spacing {
  return { x: spacing[0], y: spacing[1], unit: "mm", atDetector: false };
}

function isSamePlane(a: Plane, b: Plane): boolean {
  const isSame = (one: readonly number[], other: readonly number[]) => one.every((value, axis) => value === other[axis]);
  return isSame(a.origin, b.origin) && isSame(a.row, b.row) && isSame(a.column, b.column) && isSame(a.spacing, b.spacing);
}
