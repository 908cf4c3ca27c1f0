/** Measured values as people read them. */
import { numberInWords, t } from "../i18n/language";
import { figures, type Figure, type ImagePoint, type Kind, type Spacing, type Statistics } from "./measure";

/** What of a measurement is told in words; `Measurement` of the state is one. */
export interface Measured {
  readonly kind: Kind;
  readonly points: readonly ImagePoint[];
  readonly spacing: Spacing;
  readonly statistics: Statistics | null;
}

/** Line by line: what the shape measures, then what is inside of it. */
export function valuesInWords({ kind, points, spacing, statistics }: Measured): readonly string[] {
  if (kind === "probe") return statistics ? [withUnit(valueInWords(statistics.mean, statistics), statistics.unit)] : [];
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
  const { mean, sd, min, max, unit } = statistics;
  return [
    ...lines,
    t().measure.meanAndSd(withUnit(valueInWords(mean, statistics, 1), unit), valueInWords(sd, statistics, 1)),
    t().measure.minAndMax(valueInWords(min, statistics), valueInWords(max, statistics)),
  ];
}

function figureInWords({ name, value, unit }: Figure): string {
  const words = `${numberInWords(value, 1, 1)}${unit === "°" ? "" : " "}${unit}`;
  return name === "diameter" ? `⌀ ${words}` : words;
}

/** Values of counts and Hounsfield units want a digit, normalised ones all that tell them apart. */
function valueInWords(value: number, { min, max }: Statistics, least = 0): string {
  return Math.max(Math.abs(min), Math.abs(max)) < 10 && !(Number.isInteger(min) && Number.isInteger(max))
    ? numberInWords(value, 4, least)
    : numberInWords(value, 1, least);
}

function withUnit(words: string, unit: string): string {
  return unit ? `${words} ${unit}` : words;
}
