/** Measured values as people read them. */
import { numberInWords, significantInWords } from "../i18n/language";
import { t } from "../i18n/study";
import { figures, type Figure, type ImagePoint, type Kind, type Spacing, type Spread, type Statistics } from "./measure";
import { shownUnit } from "./units";
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
  if (kind === "probe") return [statistics, asActivity].flatMap((one) => (one ? [probedInWords(one)] : []));
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
  const { mean, sd, min, max, unit, channels } = statistics;
  const spread = t().measure.meanAndSd(withUnit(valueInWords(mean, statistics, 1), unit), valueInWords(sd, statistics, 1));
  const ends = t().measure.minAndMax(valueInWords(min, statistics), valueInWords(max, statistics));
  if (!channels) return [spread, ends];
  // Values of colour are whole numbers; what is told of all three is the luminance.
  const channel = (one: Spread) => `${numberInWords(one.mean, 1, 1)} ± ${numberInWords(one.sd, 1, 1)}`;
  return [t().measure.ofLuminance(spread), ends, t().measure.ofColours(...colours(channels, channel))];
}

function probedInWords(statistics: Statistics): string {
  const { mean, unit, channels } = statistics;
  if (channels) return t().measure.ofColours(...colours(channels, (one) => numberInWords(one.mean, 0)));
  // One value is not rounded as means are.
  return withUnit(unit === SUV_UNIT ? valueInWords(mean, statistics) : significantInWords(mean, 6), unit);
}

function colours(channels: readonly Spread[], words: (one: Spread) => string): readonly [string, string, string] {
  const [red, green, blue] = channels;
  return [red ? words(red) : "", green ? words(green) : "", blue ? words(blue) : ""];
}

/** A value as a report tells it; `name` is a known one, or else what its code means. */
export interface Told {
  readonly name: string;
  readonly value: number;
  /** Of UCUM. */
  readonly unit: string;
}

const SIZES = new Set(["length", "longAxis", "shortAxis", "diameter", "area", "angle", "value"]);
const SPREAD = new Set(["mean", "standardDeviation", "minimum", "maximum"]);

/** What a report says was measured, line by line: its own values, not ours. */
export function toldInWords(values: readonly Told[]): readonly string[] {
  const of = (name: string) => values.find((one) => one.name === name);
  const number = ({ value }: Told) =>
    Math.abs(value) < SMALL ? significantInWords(value, 3) : numberInWords(value, 2, Number.isInteger(value) ? 0 : 1);
  const whole = (one: Told) => {
    const unit = shownUnit(one.unit);
    const words = unit === "°" ? `${number(one)}°` : withUnit(number(one), unit);
    return one.name === "diameter" ? `⌀ ${words}` : words;
  };
  const [long, short] = [of("longAxis"), of("shortAxis")];
  const axes = long && short && long.unit === short.unit ? [`${number(long)} × ${whole(short)}`] : [long, short].flatMap((one) => (one ? [whole(one)] : []));
  const sizes = values.filter(({ name }) => SIZES.has(name) && !name.endsWith("Axis")).map(whole);
  const [mean, sd, min, max] = [of("mean"), of("standardDeviation"), of("minimum"), of("maximum")];
  const names: Readonly<Record<string, string>> = t().measure.names;
  const named = (one: Told) => `${Object.hasOwn(names, one.name) ? names[one.name]! : one.name} ${whole(one)}`;
  const both = new Set<Told | undefined>([...(mean && sd ? [mean, sd] : []), ...(min && max ? [min, max] : [])]);
  const rest = values.filter((one) => (SPREAD.has(one.name) && !both.has(one)) || !(SPREAD.has(one.name) || SIZES.has(one.name)));
  return [
    ...[[...axes, ...sizes].join(" · ")].filter(Boolean),
    ...(mean && sd ? [t().measure.meanAndSd(whole(mean), number(sd))] : []),
    ...(min && max ? [t().measure.minAndMax(number(min), number(max))] : []),
    ...rest.map(named),
  ];
}

function inUnit({ count, mean, sd, min, max }: Statistics, { perSuv, unit }: Activity): Statistics {
  return { count, mean: mean * perSuv, sd: sd * perSuv, min: min * perSuv, max: max * perSuv, unit };
}

function figureInWords({ name, value, unit }: Figure): string {
  const words = `${numberInWords(value, 1, 1)}${unit === "°" ? "" : " "}${unit}`;
  return name === "diameter" ? `⌀ ${words}` : words;
}

/** Of values up to this, four digits after the point tell too little. */
const SMALL = 0.1;

/** Values of counts and Hounsfield units want a digit, uptake two, normalised ones all that tell them apart. */
function valueInWords(value: number, { min, max, unit }: Statistics, least = 0): string {
  if (unit === SUV_UNIT) return numberInWords(value, 2, 2);
  const size = Math.max(Math.abs(min), Math.abs(max));
  if (size < SMALL && size > 0) return significantInWords(value, 4);
  return size < 10 && !(Number.isInteger(min) && Number.isInteger(max))
    ? numberInWords(value, 4, least)
    : numberInWords(value, 1, least);
}

function withUnit(words: string, unit: string): string {
  return unit ? `${words} ${unit}` : words;
}
