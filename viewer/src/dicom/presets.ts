/** Windows that radiologists ask for by name: of CT in Hounsfield units, of PET in SUV. */
import { numberInWords, t, type Messages } from "../i18n/language";
import type { Window } from "./frame";

export interface Preset extends Window {
  readonly key: string;
  /** What is seen, or up to which SUV. */
  readonly name: keyof Messages["presets"] | number;
}

export const CT_PRESETS: readonly Preset[] = [
  { name: "softTissue", key: "1", center: 40, width: 400 },
  { name: "lung", key: "2", center: -600, width: 1500 },
  { name: "bone", key: "3", center: 480, width: 2500 },
  { name: "brain", key: "4", center: 40, width: 80 },
  { name: "liver", key: "5", center: 60, width: 160 },
  { name: "mediastinum", key: "6", center: 50, width: 350 },
];

/** Each from no uptake to this SUV, by the keys 1 to 6. */
export const SUV_TOPS = [5, 7, 10, 15, 20, 30] as const;

export function presetWords({ name }: Preset): string {
  return typeof name === "number" ? t().uptake.range("0", numberInWords(name)) : t().presets[name];
}

/** Of PET there are some where SUV is known: the factor is the SUV of one of the image's own unit. */
export function presetsFor(modality: string, suvFactor?: number): readonly Preset[] {
  if (modality === "CT") return CT_PRESETS;
  if (suvFactor === undefined) return [];
  return SUV_TOPS.map((top, index) => ({ name: top, key: `${index + 1}`, ...windowBetween(0, top / suvFactor) }));
}

/** The window that reaches from one value to another, as PS3.3 C.11.2.1.2.1 counts it, and its ends. */
export function windowBetween(low: number, high: number): Window {
  return { center: (low + high) / 2 + 0.5, width: high - low + 1 };
}

export function endsOf({ center, width }: Window): readonly [low: number, high: number] {
  return [center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2];
}
