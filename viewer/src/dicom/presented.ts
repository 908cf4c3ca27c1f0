/**
 * Grey as a file presents it, where that takes more than a window: through VOI and Presentation LUT (PS3.3 C.11.2,
 * C.11.4), and in the colours of a supplemental palette (C.7.6.19), as the server makes it.
 */
import { lookUp, type LookupTable } from "./lut";
import { TAG, items, text, type DicomObject } from "./model";
import { coloured, type Palette } from "./storedpixels";
import type { Voi } from "./voi";

/** Whether some of its grey values are colours of a supplemental palette (Pixel Presentation, PS3.3 C.8.16.2.1.1). */
export const isPartlyColour = (instance: DicomObject): boolean =>
  ["COLOR", "MIXED"].includes(text(instance, TAG.pixelPresentation) ?? "");

export const hasPresentationLut = (instance: DicomObject): boolean => items(instance, TAG.presentationLutSequence).length > 0;

export interface Presenting {
  readonly voi: LookupTable | Voi;
  /** The Presentation LUT; without one, small values are white where it is `inverted`. */
  readonly table: LookupTable | undefined;
  readonly inverted: boolean;
}

/** From 0, black, to 255. `values` are those after the Modality LUT. */
export function presentedGreys(values: ArrayLike<number>, { voi, table, inverted }: Presenting): Uint8Array {
  const shareOf = "entries" in voi ? (value: number) => Math.min(1, lookUp(voi, value) / voi.top) : windowing(voi);
  const greys = new Uint8Array(values.length);
  for (let at = 0; at < greys.length; at += 1) {
    let share = shareOf(values[at]!);
    // What the VOI gives is spread over the entries (PS3.3 C.11.4.1).
    if (table) share = Math.min(1, lookUp(table, Math.floor(share * (table.entries.length - 1) + table.first + 0.5)) / table.top);
    else if (inverted) share = 1 - share;
    greys[at] = Math.floor(share * 255 + 0.5);
  }
  return greys;
}

/** PS3.3 C.11.2.1.2 and C.11.2.1.3; no number is black. */
function windowing({ center, width, voiFunction }: Voi): (value: number) => number {
  const within = (share: number) => Math.max(0, Math.min(1, share)) || 0;
  if (voiFunction === "SIGMOID") return (value) => within(1 / (1 + Math.exp((-4 * (value - center)) / width)));
  if (voiFunction === "LINEAR_EXACT") return (value) => within((value - center) / width + 0.5);
  if (width <= 1) return (value) => (value > center - 0.5 ? 1 : 0);
  return (value) => within((value - (center - 0.5)) / (width - 1) + 0.5);
}

/** Three bytes a pixel: grey, but for stored values from the palette's first on. */
export function supplemented(greys: Uint8Array, stored: ArrayLike<number>, palettes: readonly [Palette, Palette, Palette]): Uint8Array {
  const rgb = coloured(stored, palettes);
  for (let at = 0; at < greys.length; at += 1) if (stored[at]! < palettes[0].first) rgb.fill(greys[at]!, at * 3, at * 3 + 3);
  return rgb;
}
