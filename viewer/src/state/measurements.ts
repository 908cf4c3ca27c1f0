/**
 * What was measured in a study: a value with its own past and future.
 *
 * A measurement belongs to one frame of one image, or to a plane in space that a volume is cut along, and
 * tells all that is needed to draw, read and store it. Every change gives another value, and can be taken back.
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

export interface Measurements {
  readonly list: readonly Measurement[];
  readonly past: readonly (readonly Measurement[])[];
  readonly future: readonly (readonly Measurement[])[];
}

export const NO_MEASUREMENTS: Measurements = { list: [], past: [], future: [] };

/** Enough for a long session; each step holds only what it changed. */
const MOST_STEPS = 500;

export function add(to: Measurements, one: Measurement): Measurements {
  return next(to, [...to.list, one]);
}

/** The same with parts of one changed; nothing happens for what is not there. */
export function change(to: Measurements, id: string, parts: Partial<Omit<Measurement, "id">>): Measurements {
  if (!find(to, id)) return to;
  return next(to, to.list.map((one) => (one.id === id ? { ...one, ...parts } : one)));
}

export function remove(from: Measurements, id: string): Measurements {
  if (!find(from, id)) return from;
  return next(from, from.list.filter((one) => one.id !== id));
}

function next(now: Measurements, list: readonly Measurement[]): Measurements {
  return { list, past: [...now.past, now.list].slice(-MOST_STEPS), future: [] };
}

export function undo(now: Measurements): Measurements {
  const list = now.past.at(-1);
  if (!list) return now;
  return { list, past: now.past.slice(0, -1), future: [now.list, ...now.future] };
}

export function redo(now: Measurements): Measurements {
  const [list, ...future] = now.future;
  if (!list) return now;
  return { list, past: [...now.past, now.list], future };
}

export function find(among: Measurements, id: string | null): Measurement | undefined {
  return among.list.find((one) => one.id === id);
}

export function isSameImage(a: ImageReference, b: ImageReference): boolean {
  return a.sopInstanceUid === b.sopInstanceUid && a.frame === b.frame;
}
