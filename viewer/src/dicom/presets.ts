/** Windows that radiologists ask for by name. Values are in Hounsfield units and hold for CT only. */
import { t, type Messages } from "../i18n/language";
import type { Window } from "./frame";

export interface Preset extends Window {
  readonly name: keyof Messages["presets"];
  readonly key: string;
}

export const CT_PRESETS: readonly Preset[] = [
  { name: "softTissue", key: "1", center: 40, width: 400 },
  { name: "lung", key: "2", center: -600, width: 1500 },
  { name: "bone", key: "3", center: 480, width: 2500 },
  { name: "brain", key: "4", center: 40, width: 80 },
  { name: "liver", key: "5", center: 60, width: 160 },
  { name: "mediastinum", key: "6", center: 50, width: 350 },
];

export const presetWords = (preset: Preset): string => t().presets[preset.name];

export function presetsFor(modality: string): readonly Preset[] {
  return modality === "CT" ? CT_PRESETS : [];
}
