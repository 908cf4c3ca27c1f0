/**
 * What was measured in a study: a value with its own past and future.
 *
 * A measurement belongs to one frame of one image and tells all that is needed to draw, read and
 * store it. Every change gives another value, and can be taken back.
 */
import { POINT_COUNT, isKind, type ImagePoint, type Kind, type Spacing, type Statistics } from "../dicom/measure";

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

// --- As text ---------------------------------------------------------------------------------

const VERSION = 1;
/** More than any person draws; what claims more is not ours. */
const MOST_MEASUREMENTS = 10_000;
const MOST_POINTS = 100_000;

/** What is there now, without its past. */
export function toJson({ list }: Measurements): string {
  return JSON.stringify({ version: VERSION, measurements: list });
}

/** Throws a `TypeError` that names the place for anything that `toJson` does not write. */
export function fromJson(text: string): Measurements {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw new TypeError("measurements are not JSON");
  }
  const { version, measurements } = record(read, "measurements");
  if (version !== VERSION) throw new TypeError(`measurements of version ${String(version)} are not known`);
  if (!Array.isArray(measurements) || measurements.length > MOST_MEASUREMENTS)
    throw new TypeError("measurements are no list, or too many");
  const list = measurements.map((one, index) => measurement(one, `measurement ${index}`));
  if (new Set(list.map(({ id }) => id)).size !== list.length) throw new TypeError("two measurements have one id");
  return { ...NO_MEASUREMENTS, list };
}

function measurement(value: unknown, place: string): Measurement {
  const { id, kind, image, points, spacing, statistics, label } = record(value, place);
  if (!isKind(kind)) throw new TypeError(`${place} is of no known kind`);
  if (!Array.isArray(points) || points.length > MOST_POINTS) throw new TypeError(`${place} has no list of points`);
  const count = POINT_COUNT[kind];
  if (count === undefined ? points.length < 3 : points.length !== count)
    throw new TypeError(`${place} has ${points.length} points`);
  const { x, y, unit, atDetector } = record(spacing, `${place}, spacing`);
  if (unit !== "mm" && unit !== "px") throw new TypeError(`${place} has no unit`);
  return {
    id: words(id, place),
    kind,
    image: imageReference(image, `${place}, image`),
    points: points.map((point) => {
      const { x, y } = record(point, place);
      return { x: real(x, place), y: real(y, place) };
    }),
    spacing: { x: positive(x, place), y: positive(y, place), unit, atDetector: atDetector === true },
    statistics: statistics === null ? null : statisticsOf(statistics, `${place}, statistics`),
    label: words(label, place),
  };
}

function imageReference(value: unknown, place: string): ImageReference {
  const { seriesInstanceUid, sopInstanceUid, sopClassUid, frame, frameOfReferenceUid } = record(value, place);
  if (!Number.isInteger(frame) || (frame as number) < 1) throw new TypeError(`${place} has no frame`);
  return {
    seriesInstanceUid: words(seriesInstanceUid, place),
    sopInstanceUid: words(sopInstanceUid, place),
    sopClassUid: words(sopClassUid, place),
    frame: frame as number,
    frameOfReferenceUid: frameOfReferenceUid === null ? null : words(frameOfReferenceUid, place),
  };
}

function statisticsOf(value: unknown, place: string): Statistics {
  const { count, mean, sd, min, max, unit } = record(value, place);
  return {
    count: positive(count, place),
    mean: real(mean, place),
    sd: real(sd, place),
    min: real(min, place),
    max: real(max, place),
    unit: words(unit, place),
  };
}

function record(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw new TypeError(`${place} is no object`);
  return value as Readonly<Record<string, unknown>>;
}

function words(value: unknown, place: string): string {
  if (typeof value !== "string") throw new TypeError(`${place} lacks a text`);
  return value;
}

function real(value: unknown, place: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new TypeError(`${place} lacks a number`);
  return value;
}

function positive(value: unknown, place: string): number {
  const number = real(value, place);
  if (number <= 0) throw new TypeError(`${place} has a number that is not above zero`);
  return number;
}
