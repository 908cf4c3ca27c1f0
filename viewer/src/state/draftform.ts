/**
 * Measurements as the server keeps them: points from the corner of the first pixel (PS3.3 C.18.6), units of
 * UCUM, the longer axis first. What a frame's pixels measure is not kept; it is asked of the image again.
 * On a cut through a volume points are in mm of the patient (PS3.3 C.18.9).
 */
import { planeThrough, pixelOf, pointAt } from "../dicom/geometry";
import {
  circleAxes,
  distance,
  figures,
  hasArea,
  isKind,
  type ImagePoint,
  type Kind,
  type Spacing,
  type Spread,
  type Statistics,
} from "../dicom/measure";
import { shownUnit, ucum } from "../dicom/units";
import type { DraftMeasurement, DraftValue } from "../api/drafts";
import type { Vector3 } from "../dicom/model";
import type { ImageReference, Measurement } from "./measurements";

/** The corner of a pixel is so far from its centre. */
const CORNER = 0.5;
const MOST_POINTS = 4096;

/** Digits of what is computed from points in space, which come back from the server as others in the last ones. */
const DIGITS = 8;
const FINEST_MM = 1e9;

const MILLIMETRES: Spacing = { x: 1, y: 1, unit: "mm", atDetector: false };
const PIXELS: Spacing = { x: 1, y: 1, unit: "px", atDetector: false };

export function toDraft(one: Measurement): DraftMeasurement {
  const { id, image, label, plane } = one;
  const form = formOf(one);
  const { kind } = form;
  const points = thinned(form.points);
  const { seriesInstanceUid, sopInstanceUid, sopClassUid, frame, frameOfReferenceUid } = image;
  return {
    id,
    kind,
    image: {
      seriesInstanceUid,
      sopInstanceUid,
      sopClassUid,
      frame,
      ...(frameOfReferenceUid ? { frameOfReferenceUid } : {}),
    },
    ...(plane ? {} : { points: points.map(({ x, y }) => [x + CORNER, y + CORNER] as const) }),
    ...(label ? { label } : {}),
    values: plane ? valuesOf(one).map((told) => ({ ...told, value: Number(told.value.toPrecision(DIGITS)) })) : valuesOf(one),
    ...(plane ? { points3d: points.map(({ x, y }) => finest(pointAt(plane, x, y))) } : {}),
  };
}

/** Null for a kind that is not drawn here. */
export function fromDraft(draft: DraftMeasurement, spacing: Spacing): Measurement | null {
  const { id, kind, label, values } = draft;
  if (!isKind(kind)) return null;
  if (draft.points3d) return fromSpace(draft, kind, draft.points3d);
  const points = (draft.points ?? []).map(([column, row]) => ({ x: column - CORNER, y: row - CORNER }));
  const area = values?.find(({ name }) => name === "area")?.value;
  const count = area === undefined ? 1 : Math.max(1, Math.round(area / (spacing.x * spacing.y)));
  const statistics = hasArea(kind) || kind === "probe" ? statisticsOf(values ?? [], count) : null;
  return { id, kind, image: referenceOf(draft), points, spacing, statistics, label: label ?? "" };
}

/** Null for points that lie in no one plane. */
function fromSpace(draft: DraftMeasurement, kind: Kind, places: readonly Vector3[]): Measurement | null {
  const plane = planeThrough(places);
  if (!plane) return null;
  const points = places.map((place) => pixelOf(plane, place)).map(({ x, y }) => ({ x, y }));
  const statistics = hasArea(kind) || kind === "probe" ? statisticsOf(draft.values ?? [], 1) : null;
  const { id, label = "" } = draft;
  return { id, kind, image: referenceOf(draft), points, spacing: MILLIMETRES, statistics, label, plane };
}

export function referenceOf({ image }: DraftMeasurement): ImageReference {
  return { ...image, frame: image.frame ?? 1, frameOfReferenceUid: image.frameOfReferenceUid ?? null };
}

function finest([x, y, z]: Vector3): Vector3 {
  const held = (mm: number) => Math.round(mm * FINEST_MM) / FINEST_MM;
  return [held(x), held(y), held(z)];
}

function formOf({ kind, points, spacing, plane }: Measurement): { readonly kind: string; readonly points: readonly ImagePoint[] } {
  // A circle of the patient is an ellipse of pixels that are not square.
  // PS3.3 C.18.9.1.2 knows no circles in space.
  const isCircle = kind === "circle" && !plane && Math.abs(spacing.x - spacing.y) < 1e-6;
  // The axes of an ellipse are those of its drawing, in pixels; two diameters are those of the patient.
  if (kind === "circle" && !isCircle) return { kind: "ellipse", points: longerFirst(circleAxes(points, spacing), PIXELS) };
  if (kind === "ellipse") return { kind, points: longerFirst(points, plane ? spacing : PIXELS) };
  return { kind, points: kind === "bidirectional" ? longerFirst(points, spacing) : points };
}

function longerFirst(points: readonly ImagePoint[], spacing: Spacing): readonly ImagePoint[] {
  const [a, b, c, d] = points;
  if (!a || !b || !c || !d || distance(a, b, spacing) >= distance(c, d, spacing)) return points;
  return [c, d, a, b];
}

function thinned(points: readonly ImagePoint[]): readonly ImagePoint[] {
  const step = Math.ceil(points.length / MOST_POINTS);
  return step <= 1 ? points : points.filter((_, index) => index % step === 0);
}

function valuesOf({ kind, points, spacing, statistics }: Measurement): readonly DraftValue[] {
  const found: DraftValue[] = figures(kind, points, spacing).map(({ name, value, unit }) => ({ name, value, unit: ucum(unit) }));
  if (!statistics) return found;
  const unit = ucum(statistics.unit);
  if (statistics.channels) return [...found, ...coloursOf(kind === "probe", statistics, statistics.channels)];
  if (kind === "probe") return [...found, { name: "value", value: statistics.mean, unit }];
  return [
    ...found,
    { name: "mean", value: statistics.mean, unit },
    { name: "standardDeviation", value: statistics.sd, unit },
    { name: "minimum", value: statistics.min, unit },
    { name: "maximum", value: statistics.max, unit },
  ];
}

function statisticsOf(values: readonly DraftValue[], count: number): Statistics | null {
  const of = (name: string) => values.find((one) => one.name === name);
  const [luminance, ...channels] = COLOURS.flatMap((colour) => spreadOf(colour, of) ?? []);
  if (luminance && channels.length === 3) return { count, ...luminance, unit: "", channels };
  const mean = of("mean") ?? of("value");
  if (!mean) return null;
  return {
    count,
    mean: mean.value,
    sd: of("standardDeviation")?.value ?? 0,
    min: of("minimum")?.value ?? mean.value,
    max: of("maximum")?.value ?? mean.value,
    unit: shownUnit(mean.unit),
  };
}

// --- Statistics of colour: of the luminance, and of red, green and blue ------------------------

/** No code of DICOM names them; schemes from 99 are private (PS3.16 8.2). */
const OWN_SCHEME = "99GANTRY";
const COLOURS = ["Luminance", "Red", "Green", "Blue"] as const;
const SPREADS = { mean: "Mean", sd: "Deviation", min: "Minimum", max: "Maximum" } as const;

type Colour = (typeof COLOURS)[number];

/** Meaning and code of a value: "Red Mean", RED-MEAN. */
function named(colour: Colour, spread: string, value: number): DraftValue {
  const meaning = `${colour} ${spread}`;
  const code = `${colour.slice(0, 5)}-${spread}`.toUpperCase();
  return { name: meaning, value, unit: "1", code: { value: code, scheme: OWN_SCHEME, meaning } };
}

function coloursOf(isOne: boolean, luminance: Spread, channels: readonly Spread[]): readonly DraftValue[] {
  const told = (Object.keys(SPREADS) as (keyof Spread)[]).filter((name) => !isOne || name === "mean");
  return [luminance, ...channels].flatMap((spread, at) => told.map((name) => named(COLOURS[at]!, SPREADS[name], spread[name])));
}

function spreadOf(colour: Colour, of: (name: string) => DraftValue | undefined): Spread | undefined {
  const part = (name: keyof Spread) => of(`${colour} ${SPREADS[name]}`)?.value;
  const mean = part("mean");
  if (mean === undefined) return undefined;
  return { mean, sd: part("sd") ?? 0, min: part("min") ?? mean, max: part("max") ?? mean };
}
