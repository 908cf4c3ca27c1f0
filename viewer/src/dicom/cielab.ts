/** Colours as the standard writes them: PCS-Values, CIE L*a*b* under D50, 16 bits each (PS3.3 C.10.7.1.1). */

/** Red, green and blue of sRGB, 0 to 255. */
export type Rgb = readonly [number, number, number];

export function cielabToRgb(encoded: readonly [number, number, number]): Rgb {
  const lightness = (encoded[0] * 100) / 65535;
  const [a, b] = [(encoded[1] * 255) / 65535 - 128, (encoded[2] * 255) / 65535 - 128];
  const fy = (lightness + 16) / 116;
  const ratio = (f: number) => (f ** 3 > 0.008856 ? f ** 3 : (f - 16 / 116) / 7.787);
  const [x, y, z] = [ratio(fy + a / 500) * 0.96422, ratio(fy), ratio(fy - b / 200) * 0.82521];
  return [
    byte(3.1338561 * x - 1.6168667 * y - 0.4906146 * z),
    byte(-0.9787684 * x + 1.9161415 * y + 0.033454 * z),
    byte(0.0719453 * x - 0.2289914 * y + 1.4052427 * z),
  ];
}

function byte(linear: number): number {
  const share = Math.min(1, Math.max(0, linear));
  return Math.round(255 * (share <= 0.0031308 ? 12.92 * share : 1.055 * share ** (1 / 2.4) - 0.055));
}
