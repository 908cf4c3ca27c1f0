/**
 * What was measured in a study, as a value.
 *
 * A measurement belongs to one frame of one image, or to a plane in space that a volume is cut along, and
 * tells all that is needed to draw, read and store it. Every change gives another value.
 */
import type { Plane } from "../dicom/geometry";
import type { ImagePoint, Kind, Spacing, Statistics } from "../dicom/measure";

export interface ImageReference {
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  /** From 1. */
  readonly frame: number;
  readonly frameOfReferenceUid: string | null;
}

export interface Measurement {
  /** A UID, so that it stays the same one wherever it is stored. */
  readonly id: string;
  readonly kind: Kind;
  readonly image: ImageReference;
  readonly points: readonly ImagePoint[];
  readonly spacing: Spacing;
  /** Of what is inside; null for a shape without an inside and where no values were known. */
  readonly statistics: Statistics | null;
  readonly label: string;
  /** Where the points lie in the patient, for one of a cut; `image` is then one of those of the volume. */
  readonly plane?: Plane | undefined;
}

export type Measurements = readonly Measurement[];

export function add(to: Measurements, one: Measurement): Measurements {
  return [...to, one];
}

/** The same with parts of one changed; nothing happens for what is not there. */
export function change(to: Measurements, id: string, parts: Partial<Omit<Measurement, "id">>): Measurements {
  return find(to, id) ? to.map((one) => (one.id === id ? { ...one, ...parts } : one)) : to;
}

export function remove(from: Measurements, id: string): Measurements {
  return find(from, id) ? from.filter((one) => one.id !== id) : from;
}

export function find(among: Measurements, id: string | null): Measurement | undefined {
  return among.find((one) => one.id === id);
}

export function isSameImage(a: ImageReference, b: ImageReference): boolean {
  return a.sopInstanceUid === b.sopInstanceUid && a.frame === b.frame;
}
