/** How large the pixels of this screen are, as somebody measured it with a card; kept on the device. */
import { remember, remembered } from "../i18n/kept";

/** Width and height of a bank card (ISO/IEC 7810, ID-1). */
export const CARD_MM = { width: 85.6, height: 53.98 } as const;
/** What a page takes a pixel to be before anybody measured (CSS: 96 to the inch). */
export const USUAL_PIXELS_PER_MM = 96 / 25.4;
/** Screens are between a projector and a phone. */
export const LEAST_PIXELS_PER_MM = 1;
export const MOST_PIXELS_PER_MM = 12;

const KEPT = "gantry.screen";

/** Pixels of the page per millimetre; undefined before anybody measured. `ratio` is device pixels per pixel of the page. */
export function pixelsPerMm(ratio: number): number | undefined {
  const device = Number(remembered(KEPT));
  const page = device / ratio;
  // The page may be larger or smaller now than when it was measured.
  return device > 0 && Number.isFinite(page) ? page : undefined;
}

export function keepPixelsPerMm(page: number, ratio: number): void {
  const held = Math.min(MOST_PIXELS_PER_MM, Math.max(LEAST_PIXELS_PER_MM, page));
  remember(KEPT, String(held * ratio));
}
