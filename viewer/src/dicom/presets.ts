/**
 * Windows that radiologists ask for by name. Those of CT are in Hounsfield units; other modalities have no unit that
 * two machines share (PET may be in SUV), and their windows are parts of what the image in view holds.
 */
import { numberInWords } from "../i18n/language";
import { t, type StudyMessages } from "../i18n/study";
import type { Window } from "./frame";
import type { Pixels } from "./measure";
import { percentile, rangeOf, thinned } from "./voi";

export interface Preset {
  /** What is seen, or up to which SUV. */
  readonly name: keyof StudyMessages["presets"] | number;
  readonly key: string;
  /** The window, or from which to which percentile of the values it goes. */
  readonly window: Window | Part;
}

/** Percentiles, or, with `ofGreatest`, percent of the greatest value, from zero. */
export interface Part {
  readonly from: number;
  readonly to: number;
  readonly ofGreatest?: true;
}

/** Of an image that is one gray. */
const LEAST_WIDTH = 1e-6;

export const CT_PRESETS: readonly Preset[] = [
  { name: "softTissue", key: "1", window: { center: 40, width: 400 } },
  { name: "lung", key: "2", window: { center: -600, width: 1500 } },
  { name: "bone", key: "3", window: { center: 480, width: 2500 } },
  { name: "brain", key: "4", window: { center: 40, width: 80 } },
  { name: "liver", key: "5", window: { center: 60, width: 160 } },
  { name: "mediastinum", key: "6", window: { center: 50, width: 350 } },
];

const MR_PRESETS: readonly Preset[] = [
  { name: "balanced", key: "1", window: { from: 1, to: 99 } },
  { name: "contrasty", key: "2", window: { from: 5, to: 95 } },
  { name: "bright", key: "3", window: { from: 1, to: 90 } },
  { name: "all", key: "4", window: { from: 0, to: 100 } },
];

const RADIOGRAPH_PRESETS: readonly Preset[] = [
  { name: "balanced", key: "1", window: { from: 1, to: 99 } },
  { name: "contrasty", key: "2", window: { from: 10, to: 90 } },
  { name: "all", key: "3", window: { from: 0, to: 100 } },
];

/** Tissue is the brighter part of a mammogram; its edge, and the skin, the darker one. */
const MAMMOGRAM_PRESETS: readonly Preset[] = [
  { name: "balanced", key: "1", window: { from: 30, to: 99.8 } },
  { name: "dense", key: "2", window: { from: 65, to: 99.9 } },
  { name: "skin", key: "3", window: { from: 5, to: 80 } },
  { name: "all", key: "4", window: { from: 0, to: 100 } },
];

const COUNT_PRESETS: readonly Preset[] = [
  { name: "percent100", key: "1", window: { from: 0, to: 100, ofGreatest: true } },
  { name: "percent75", key: "2", window: { from: 0, to: 75, ofGreatest: true } },
  { name: "percent50", key: "3", window: { from: 0, to: 50, ofGreatest: true } },
  { name: "percent25", key: "4", window: { from: 0, to: 25, ofGreatest: true } },
  { name: "percent10", key: "5", window: { from: 0, to: 10, ofGreatest: true } },
];

const ANGIOGRAM_PRESETS: readonly Preset[] = [
  { name: "balanced", key: "1", window: { from: 1, to: 99 } },
  { name: "vessels", key: "2", window: { from: 2, to: 70 } },
  { name: "all", key: "3", window: { from: 0, to: 100 } },
];

const BY_MODALITY: Readonly<Record<string, readonly Preset[]>> = {
  CT: CT_PRESETS,
  MR: MR_PRESETS,
  CR: RADIOGRAPH_PRESETS,
  DX: RADIOGRAPH_PRESETS,
  IO: RADIOGRAPH_PRESETS,
  PX: RADIOGRAPH_PRESETS,
  MG: MAMMOGRAM_PRESETS,
  PT: COUNT_PRESETS,
  NM: COUNT_PRESETS,
  XA: ANGIOGRAM_PRESETS,
  RF: ANGIOGRAM_PRESETS,
};

export const ALL_PRESETS: readonly (readonly Preset[])[] = Object.values(BY_MODALITY);

/** Each from no uptake to this SUV, by the keys 1 to 6. */
export const SUV_TOPS = [5, 7, 10, 15, 20, 30] as const;

export function presetWords({ name }: Preset): string {
  return typeof name === "number" ? t().uptake.range("0", numberInWords(name)) : t().presets[name];
}

/** Of PET by SUV where it is known: the factor is the SUV of one of the image's own unit. */
export function presetsFor(modality: string, suvFactor?: number): readonly Preset[] {
  if (modality === "PT" && suvFactor !== undefined)
    return SUV_TOPS.map((top, index) => ({ name: top, key: `${index + 1}`, window: windowBetween(0, top / suvFactor) }));
  return Object.hasOwn(BY_MODALITY, modality) ? BY_MODALITY[modality]! : [];
}

/** The window of a preset for an image; undefined where its values are not known. */
export function windowFor({ window: asked }: Preset, pixels: () => Pixels | undefined): Window | undefined {
  if ("center" in asked) return asked;
  const held = pixels();
  if (!held) return undefined;
  const values = thinned(held.values, held.rows, held.columns, (value) => !Number.isFinite(value));
  const sorted = values.map((value) => value * held.slope + held.intercept).sort();
  if (sorted.length === 0) return undefined;
  const greatest = sorted[sorted.length - 1]!;
  const [low, high] = asked.ofGreatest
    ? [0, (greatest * asked.to) / 100]
    : [percentile(sorted, asked.from), percentile(sorted, asked.to)];
  return { center: (low + high) / 2, width: Math.max(high - low, LEAST_WIDTH) };
}

/** The window that reaches from one value to another, as PS3.3 C.11.2.1.2.1 counts it, and its ends. */
export function windowBetween(low: number, high: number): Window {
  return { center: (low + high) / 2 + 0.5, width: high - low + 1, voiFunction: "LINEAR" };
}

export function endsOf({ center, width, voiFunction = "LINEAR" }: Window): readonly [low: number, high: number] {
  const { lower, upper } = rangeOf(center, width, voiFunction);
  return [lower, upper];
}
