/** Measured values as people read them. */
import { numberInWords, t } from "../i18n/language";
import { figures, type Figure, type ImagePoint, type Kind, type Spacing, type Statistics } from "./measure";
import { SUV_UNIT } from "./uptake";

/** What of a measurement is told in words; `Measurement` of the state is one. */
export interface Measured {
  readonly kind: Kind;
  readonly points: readonly ImagePoint[];
  readonly spacing: Spacing;
  readonly statistics: Statistics | null;
}

/** What an uptake of 1 is in the unit of the image. */
export interface Activity {
  readonly perSuv: number;
  readonly unit: string;
}

/** Line by line: what the shape measures, then what is inside of it; uptake as activity, too, where that is given. */
export function valuesInWords({ kind, points, spacing, statistics }: Measured, activity?: Activity): readonly string[] {
  const asActivity = statistics?.unit === SUV_UNIT && activity ? inUnit(statistics, activity) : null;
  if (kind === "probe")
    return [statistics, asActivity].flatMap((one) => (one ? [withUnit(valueInWords(one.mean, one), one.unit)] : []));
  const found = figures(kind, points, spacing);
  const [first] = found;
  if (!first) return [];
  const size =
    kind === "bidirectional"
      ? `${found.map(({ value }) => numberInWords(value, 1, 1)).join(" × ")} ${first.unit}`
      : found.map(figureInWords).join(" · ");
  const isLong = first.unit !== "°";
  const lines = [isLong && spacing.atDetector ? t().measure.atDetector(size) : size];
  if (!statistics) return lines;
  return [...lines, ...meansInWords(statistics), ...(asActivity ? meansInWords(asActivity) : [])];
}

function meansInWords(statistics: Statistics): readonly string[] {
  const { mean, sd, min, max, unit } = statistics;
  return [
    t().measure.meanAndSd(withUnit(valueInWords(mean, statistics, 1), unit), valueInWords(sd, statistics, 1)),
    t().measure.minAndMax(valueInWords(min, statistics), valueInWords(max, statistics)),
  ];
}

function inUnit({ count, mean, sd, min, max }: Statistics, { perSuv, unit }: Activity): Statistics {
  return { count, mean: mean * perSuv, sd: sd * perSuv, min: min * perSuv, max: max * perSuv, unit };
}

function figureInWords({ name, value, unit }: Figure): string {
  const words = `${numberInWords(value, 1, 1)}${unit === "°" ? "" : " "}${unit}`;
  return name === "diameter" ? `⌀ ${words}` : words;
}

/** Values of counts and Hounsfield units want a digit, uptake two, normalised ones all that tell them apart. */
function valueInWords(value: number, { min, max, unit }: Statistics, least = 0): string {
  if (unit === SUV_UNIT) return numberInWords(value, 2, 2);
  return Math.max(Math.abs(min), Math.abs(max)) < 10 && !(Number.isInteger(min) && Number.isInteger(max))
    ? numberInWords(value, 4, least)
    : numberInWords(value, 1, least);
}

function withUnit(words: string, unit: string): string {
  return unit ? `${words} ${unit}` : words;
}
