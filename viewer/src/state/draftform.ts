/**
 * Measurements as the server keeps them: points from the corner of the first pixel (PS3.3 C.18.6), units of
 * UCUM, the longer axis first. What a frame's pixels measure is not kept; it is asked of the image again.
 */
import {
  circleAxes,
  distance,
  figures,
  hasArea,
  isKind,
  type ImagePoint,
  type Spacing,
  type Statistics,
} from "../dicom/measure";
import type { DraftMeasurement, DraftValue } from "../api/drafts";
import type { ImageReference, Measurement } from "./measurements";

/** The corner of a pixel is so far from its centre. */
const CORNER = 0.5;
const MOST_POINTS = 4096;

const PIXELS: Spacing = { x: 1, y: 1, unit: "px", atDetector: false };

const UCUM: Readonly<Record<string, string>> = {
  mm: "mm", "mm²": "mm2", px: "{pixels}", "px²": "{square pixels}", "°": "deg", HU: "[hnsf'U]", SUVbw: "{SUVbw}g/ml", "": "1",
};
const SHOWN = new Map(Object.entries(UCUM).map(([shown, unit]) => [unit, shown]));
const PRINTABLE = /^[\x21-\x7e]{1,16}$/;

export function toDraft(one: Measurement): DraftMeasurement {
  const { id, image, label } = one;
  const { kind, points } = formOf(one);
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
    points: thinned(points).map(({ x, y }) => [x + CORNER, y + CORNER] as const),
    ...(label ? { label } : {}),
    values: valuesOf(one),
  };
}

/** Null for a kind that is not drawn here. */
export function fromDraft(draft: DraftMeasurement, spacing: Spacing): Measurement | null {
  const { id, kind, label, values } = draft;
  if (!isKind(kind)) return null;
  const points = draft.points.map(([column, row]) => ({ x: column - CORNER, y: row - CORNER }));
  const area = values?.find(({ name }) => name === "area")?.value;
  const count = area === undefined ? 1 : Math.max(1, Math.round(area / (spacing.x * spacing.y)));
  const statistics = hasArea(kind) || kind === "probe" ? statisticsOf(values ?? [], count) : null;
  return { id, kind, image: referenceOf(draft), points, spacing, statistics, label: label ?? "" };
}

export function referenceOf({ image }: DraftMeasurement): ImageReference {
  return { ...image, frame: image.frame ?? 1, frameOfReferenceUid: image.frameOfReferenceUid ?? null };
}

function formOf({ kind, points, spacing }: Measurement): { readonly kind: string; readonly points: readonly ImagePoint[] } {
  // A circle of the patient is an ellipse of pixels that are not square.
  const isCircle = kind === "circle" && Math.abs(spacing.x - spacing.y) < 1e-6;
  // The axes of an ellipse are those of its drawing, in pixels; two diameters are those of the patient.
  if (kind === "circle" && !isCircle) return { kind: "ellipse", points: longerFirst(circleAxes(points, spacing), PIXELS) };
  if (kind === "ellipse") return { kind, points: longerFirst(points, PIXELS) };
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
  if (kind === "probe") return [...found, { name: "value", value: statistics.mean, unit }];
  return [
    ...found,
    { name: "mean", value: statistics.mean, unit },
    { name: "standardDeviation", value: statistics.sd, unit },
    { name: "minimum", value: statistics.min, unit },
    { name: "maximum", value: statistics.max, unit },
  ];
}

function ucum(unit: string): string {
  return UCUM[unit] ?? (PRINTABLE.test(unit) ? unit : "1");
}

function statisticsOf(values: readonly DraftValue[], count: number): Statistics | null {
  const of = (name: string) => values.find((one) => one.name === name);
  const mean = of("mean") ?? of("value");
  if (!mean) return null;
  return {
    count,
    mean: mean.value,
    sd: of("standardDeviation")?.value ?? 0,
    min: of("minimum")?.value ?? mean.value,
    max: of("maximum")?.value ?? mean.value,
    unit: SHOWN.get(mean.unit) ?? mean.unit,
  };
}
