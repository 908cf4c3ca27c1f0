/**
 * Colours for values: the well-known colour palettes of PS3.6 B that are made for nuclear medicine, and grey.
 *
 * The standard lists 256 colours each. They lie on straight lines between these corners, to within one
 * level of each colour, which `tests/viewer/test_fusion.py` holds against the palettes themselves.
 */

/** Level of 255, then red, green and blue, of 255 too. */
export type Corner = readonly [at: number, red: number, green: number, blue: number];

const HOT_IRON: readonly Corner[] = [[0, 0, 0, 0], [128, 255, 0, 0], [191, 255, 126, 0], [255, 255, 255, 255]];

const HOT_METAL_BLUE: readonly Corner[] = [
  [0, 0, 0, 0], [85, 0, 0, 167], [102, 50, 0, 200], [119, 90, 0, 150], [136, 140, 32, 50], [153, 190, 64, 0],
  [170, 255, 96, 0], [240, 255, 228, 206], [255, 255, 255, 255],
];

const PET: readonly Corner[] = [
  [0, 0, 0, 0], [63, 0, 128, 125], [128, 128, 0, 255], [192, 255, 128, 0], [255, 255, 255, 255],
];

/** Where each of the 20 steps begins, and its colour. */
const STEPS: readonly Corner[] = [
  [0, 0, 0, 0], [13, 96, 0, 80], [26, 48, 48, 80], [39, 48, 48, 112], [51, 80, 80, 128], [64, 96, 96, 176],
  [77, 112, 112, 192], [90, 128, 128, 224], [102, 48, 96, 48], [115, 48, 144, 48], [128, 80, 192, 80],
  [141, 64, 224, 64], [153, 224, 224, 80], [166, 208, 208, 96], [179, 208, 176, 64], [192, 208, 144, 0],
  [204, 192, 96, 0], [217, 176, 48, 0], [230, 255, 0, 0], [243, 255, 255, 255],
];

const PET_20_STEP: readonly Corner[] = STEPS.flatMap(([at, ...colour], index) => [
  [at, ...colour],
  [(STEPS[index + 1]?.[0] ?? 256) - 1, ...colour],
]);

const WINTER: readonly Corner[] = [[0, 0, 0, 255], [128, 1, 128, 191], [255, 127, 255, 128]];

const GREY: readonly Corner[] = [[0, 0, 0, 0], [255, 255, 255, 255]];

export const PALETTES = {
  hotIron: HOT_IRON,
  hotMetalBlue: HOT_METAL_BLUE,
  pet: PET,
  pet20Step: PET_20_STEP,
  winter: WINTER,
  grey: GREY,
} as const;

export type Palette = keyof typeof PALETTES;

export const PALETTE_NAMES = Object.keys(PALETTES) as readonly Palette[];

/** Of the lowest value on the left, as a style sheet writes it. */
export function gradientOf(palette: Palette, towards: "right" | "top"): string {
  const corners = PALETTES[palette].map(([at, r, g, b]) => `rgb(${r} ${g} ${b}) ${((at / 255) * 100).toFixed(1)}%`);
  return `linear-gradient(to ${towards}, ${corners.join(", ")})`;
}
