/** What the values of a stack are called, and which uptake they stand for: in words, and found once. */
import { numberInWords, significantInWords } from "../i18n/language";
import { t } from "../i18n/study";
import type { Stack } from "./displaysets";
import type { FrameDescription } from "./frame";
import { isSuv, suvByBodyWeight, type NoSuv, type Suv } from "./suv";

/** By body weight, as CID 85 of PS3.16 names it. */
export const SUV_UNIT = "SUVbw";

export type Uptake = Suv | NoSuv;

const found = new WeakMap<Stack, Uptake>();

/** Undefined for all but PET. */
export function uptakeOf(stack: Stack): Uptake | undefined {
  if (stack.modality !== "PT") return undefined;
  const known = found.get(stack) ?? suvByBodyWeight([...new Set(stack.frames.map(({ instance }) => instance))]);
  found.set(stack, known);
  return known;
}

/** Undefined where the values are of no known uptake. */
export function suvFactor(uptake: Uptake | undefined): number | undefined {
  return uptake && isSuv(uptake) ? uptake.factor : undefined;
}

/** Units (0054,1001) as they are written elsewhere; others stand as they are in the header. */
const UNITS: Readonly<Record<string, string>> = { BQML: "Bq/ml", GML: "g/ml", CM2ML: "cm²/ml", PCNT: "%" };

/** Of a frame's values after its rescale. US is "unspecified" (PS3.3 C.11.1.1.2). */
export function unitOf({ rescaleType, units }: Pick<FrameDescription, "rescaleType" | "units">): string {
  if (units) return UNITS[units] ?? units;
  return !rescaleType || rescaleType === "US" ? "" : rescaleType;
}

/** A value in the unit of the image and, where it is known, as uptake before it. */
export function valueInWords(value: number, unit: string, factor: number | undefined): string {
  const own = `${significant(value)} ${unit}`.trim();
  // What is in g/ml by body weight already is no other number.
  if (factor === undefined) return own;
  const suv = `${SUV_UNIT} ${numberInWords(value * factor, 2, 2)}`;
  return factor === 1 ? suv : `${suv} · ${own}`;
}

/** As many as a number of 32 bits always holds. */
const SIGNIFICANT = 6;

export function significant(value: number): string {
  return significantInWords(value, SIGNIFICANT);
}

/** Why values are in no uptake. */
export function whyNoSuv(reason: NoSuv): string {
  const words = t().uptake.why;
  const attributes: Readonly<Record<string, string>> = t().uptake.attributes;
  switch (reason.why) {
    case "units":
      return words.units(UNITS[reason.units] ?? reason.units);
    case "uncorrected":
      return words.uncorrected(reason.lacks.map((code) => (code === "ATTN" ? words.attenuation : words.decaying)).join(", "));
    case "decay":
      return words.decay(reason.correctedTo);
    case "missing":
      return words.missing(attributes[reason.tag] ?? reason.tag);
    case "differs":
      return words.differs(attributes[reason.tag] ?? reason.tag);
    default:
      return words[reason.why];
  }
}
