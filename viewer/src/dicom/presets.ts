/** Windows that radiologists ask for by name. Values are in Hounsfield units and hold for CT only. */
import type { Window } from "./frame";

export interface Preset extends Window {
  readonly name: string;
  readonly key: string;
}

export const CT_PRESETS: readonly Preset[] = [
  { name: "Soft tissue", key: "1", center: 40, width: 400 },
  { name: "Lung", key: "2", center: -600, width: 1500 },
  { name: "Bone", key: "3", center: 480, width: 2500 },
  { name: "Brain", key: "4", center: 40, width: 80 },
  { name: "Liver", key: "5", center: 60, width: 160 },
  { name: "Mediastinum", key: "6", center: 50, width: 350 },
];

export function presetsFor(modality: string): readonly Preset[] {
  return modality === "CT" ? CT_PRESETS : [];
}
