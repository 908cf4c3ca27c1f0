/** Colours and opacities of a volume on the graphics card, each over the values that it stands for. */
import type { Types } from "@cornerstonejs/core";
import type { Window } from "../dicom/frame";
import { PALETTES, type Palette } from "../dicom/palettes";
import { endsOf } from "../dicom/presets";

/** A value, and how much of what lies behind it is covered there. */
type OpacityPoint = readonly [value: number, opacity: number];
type ColourPoint = readonly [value: number, red: number, green: number, blue: number];

export interface Painting {
  /** By value; colours from 0 to 1. */
  readonly colours: readonly ColourPoint[];
  readonly opacities: readonly OpacityPoint[];
}

export function paintActor(actor: Types.VolumeActor, { colours, opacities }: Painting): void {
  const property = actor.getProperty();
  const colour = property.getRGBTransferFunction(0);
  colour.removeAllPoints();
  for (const [value, red, green, blue] of colours) colour.addRGBPoint(value, red, green, blue);
  const opacity = property.getScalarOpacity(0);
  opacity.removeAllPoints();
  for (const [value, share] of opacities) opacity.addPoint(value, share);
  property.modified();
}

/** A palette over a window, at one opacity throughout. */
export function palettePainting(palette: Palette, window: Window, opacity: number): Painting {
  const [low, high] = endsOf(window);
  const valueAt = (level: number) => low + (level / 255) * (high - low);
  return {
    colours: PALETTES[palette].map(([at, r, g, b]) => [valueAt(at), r / 255, g / 255, b / 255] as const),
    opacities: [[low, opacity], [high, opacity]],
  };
}
