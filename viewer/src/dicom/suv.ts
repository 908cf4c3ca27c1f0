/**
 * Standardised uptake values by body weight from the header of a PET series (PS3.3 C.8.9.1).
 *
 * SUV = activity (Bq/ml) · weight (g) / dose (Bq), with the dose as it had decayed at the time that the
 * images are corrected to. Whatever is absent or contradicts itself is refused with its reason: an
 * uptake that is wrong is worse than one that is shown in Bq/ml.
 */
import { number, items, text, type DicomObject } from "./model";

const PET_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.128";

const PET = {
  sopClassUid: "00080016",
  seriesDate: "00080021",
  acquisitionDate: "00080022",
  seriesTime: "00080031",
  acquisitionTime: "00080032",
  timezoneOffset: "00080201",
  patientWeight: "00101030",
  startTime: "00181072",
  totalDose: "00181074",
  halfLife: "00181075",
  startDateTime: "00181078",
  frameDuration: "00181242",
  correctedImage: "00280051",
  radiopharmaceutical: "00540016",
  units: "00541001",
  suvType: "00541006",
  decayCorrection: "00541102",
  decayFactor: "00541321",
} as const;

/** Of one value for a whole series; images that differ in one of them are not of one measurement. */
const OF_THE_SERIES = [
  PET.sopClassUid,
  PET.seriesDate,
  PET.seriesTime,
  PET.timezoneOffset,
  PET.patientWeight,
  PET.radiopharmaceutical,
  PET.units,
  PET.suvType,
  PET.decayCorrection,
] as const;

export interface Suv {
  /** g/ml for one of the series' units, after Rescale Slope and Intercept of each image. */
  readonly factor: number;
}

/** Why values stay in the units of the image. Tags are eight hexadecimal digits. */
export type NoSuv =
  /** Not a PET image of its own for each slice; more than one radiopharmaceutical; no time that fits. */
  | { readonly why: "kind" | "pharmaceuticals" | "times" }
  /** Neither Bq/ml nor SUV by body weight. */
  | { readonly why: "units"; readonly units: string }
  /** Corrections that the values lack, as in Corrected Image (0028,0051). */
  | { readonly why: "uncorrected"; readonly lacks: readonly string[] }
  | { readonly why: "decay"; readonly correctedTo: string }
  /** Absent, not a number, or not above zero. */
  | { readonly why: "missing"; readonly tag: string }
  | { readonly why: "differs"; readonly tag: string };

/** The factor of one series, from the headers of all its images that are shown. */
export function suvByBodyWeight(images: readonly DicomObject[]): Suv | NoSuv {
  const first = images[0];
  if (!first || text(first, PET.sopClassUid) !== PET_IMAGE_STORAGE) return { why: "kind" };
  const alike = (tag: string) => {
    const value = JSON.stringify(first[tag]?.Value);
    return images.every((image) => JSON.stringify(image[tag]?.Value) === value);
  };
  const differing = OF_THE_SERIES.find((tag) => !alike(tag));
  if (differing) return { why: "differs", tag: differing };
  const units = text(first, PET.units);
  if (!units) return { why: "missing", tag: PET.units };
  // Absent, it is body weight (C.8.9.1).
  const suvType = text(first, PET.suvType) ?? "BW";
  if (units === "GML") return suvType === "BW" ? { factor: 1 } : { why: "units", units: `${units} ${suvType}` };
  if (units !== "BQML") return { why: "units", units };
  return fromActivity(images, first);
}

export function isSuv(found: Suv | NoSuv): found is Suv {
  return "factor" in found;
}

function fromActivity(images: readonly DicomObject[], first: DicomObject): Suv | NoSuv {
  const lacks = ["ATTN", "DECY"].filter((correction) => !images.every((image) => isCorrected(image, correction)));
  if (lacks.length > 0) return { why: "uncorrected", lacks };
  const injections = items(first, PET.radiopharmaceutical);
  if (injections.length > 1) return { why: "pharmaceuticals" };
  const weight = positive(first, PET.patientWeight);
  if (weight === undefined) return { why: "missing", tag: PET.patientWeight };
  const dose = positive(injections[0], PET.totalDose);
  if (dose === undefined) return { why: "missing", tag: PET.totalDose };
  const gramsPerBecquerel = (weight * GRAMS) / dose;
  const correctedTo = text(first, PET.decayCorrection);
  if (correctedTo === "ADMIN") return { factor: gramsPerBecquerel };
  if (correctedTo !== "START")
    return correctedTo ? { why: "decay", correctedTo } : { why: "missing", tag: PET.decayCorrection };
  const halfLife = positive(injections[0], PET.halfLife);
  if (halfLife === undefined) return { why: "missing", tag: PET.halfLife };
  const seconds = secondsToStart(images, injections[0]!, halfLife);
  if (typeof seconds !== "number") return seconds;
  return { factor: gramsPerBecquerel * 2 ** (seconds / halfLife) };
}

const GRAMS = 1000;
const DAY = 86_400;
/** After so many a thousandth of the dose is left: a longer way is a wrong date. */
const MOST_HALF_LIVES = 10;

/** Seconds from the injection to the time that the images are corrected to. */
function secondsToStart(images: readonly DicomObject[], injection: DicomObject, halfLife: number): number | NoSuv {
  const start = startOfScan(images, halfLife);
  if (typeof start !== "number") return start;
  const most = MOST_HALF_LIVES * halfLife;
  const dated = text(injection, PET.startDateTime);
  if (dated) {
    const injected = dateTime(dated, text(images[0], PET.timezoneOffset));
    if (injected === undefined) return { why: "missing", tag: PET.startDateTime };
    return start >= injected && start - injected <= most ? start - injected : { why: "times" };
  }
  const ofDay = timeOfDay(text(injection, PET.startTime));
  if (ofDay === undefined) return { why: "missing", tag: PET.startTime };
  // The injection was on the day of the scan or, when that is later than the scan, on the day before.
  const seconds = (((start - ofDay) % DAY) + DAY) % DAY;
  // Where a day more would be as likely, a time without a date says nothing.
  return seconds <= most && seconds + DAY > most ? seconds : { why: "times" };
}

/** Times that move values by less than this share of them are one time. */
const SAME_VALUE = 0.01;

/**
 * The time that START means. It is Series Time, which makers of derived series replace by their own:
 * so each image's own acquisition and Decay Factor have a say, where they are given (C.8.9.1.1.5).
 */
function startOfScan(images: readonly DicomObject[], halfLife: number): number | NoSuv {
  const same = (a: number, b: number) => Math.abs(2 ** (Math.abs(a - b) / halfLife) - 1) <= SAME_VALUE;
  const series = dateAndTime(text(images[0], PET.seriesDate), text(images[0], PET.seriesTime));
  const began = images.map(acquired);
  const derived = images.flatMap((image, index) => startByDecay(image, began[index], halfLife) ?? []);
  if (!derived.every((start) => same(start, derived[0]!))) return { why: "times" };
  const isBeforeAll = (start: number) => began.every((at) => at !== undefined && start <= at);
  const isComplete = derived.length === images.length;
  if (series !== undefined && isBeforeAll(series)) return isComplete && !same(series, derived[0]!) ? { why: "times" } : series;
  if (isComplete) return Math.min(...derived);
  if (series === undefined) return { why: "missing", tag: midnight(text(images[0], PET.seriesDate)) === undefined ? PET.seriesDate : PET.seriesTime };
  return began.every((at) => at !== undefined) ? { why: "times" } : { why: "missing", tag: PET.acquisitionTime };
}

/**
 * An image's values stand for the moment within its frame at which activity was at its mean. Decay
 * Factor (0054,1321) is what they were multiplied by to be those of the start.
 */
function startByDecay(image: DicomObject, began: number | undefined, halfLife: number): number | undefined {
  const decayFactor = positive(image, PET.decayFactor);
  const milliseconds = positive(image, PET.frameDuration);
  if (began === undefined || decayFactor === undefined || milliseconds === undefined) return undefined;
  const rate = Math.LN2 / halfLife;
  const decays = (rate * milliseconds) / 1000;
  const mean = Math.log(decays / -Math.expm1(-decays)) / rate;
  return began + mean - Math.log(decayFactor) / rate;
}

function acquired(image: DicomObject): number | undefined {
  const date = text(image, PET.acquisitionDate) ?? text(image, PET.seriesDate);
  return dateAndTime(date, text(image, PET.acquisitionTime));
}

function isCorrected(image: DicomObject, correction: string): boolean {
  return image[PET.correctedImage]?.Value?.includes(correction) ?? false;
}

function positive(object: DicomObject | undefined, tag: string): number | undefined {
  const value = number(object, tag);
  return value !== undefined && value > 0 ? value : undefined;
}

/** Seconds since 1970 on the clock of the scanner, whatever its zone. */
function dateAndTime(date: string | undefined, time: string | undefined): number | undefined {
  const [day, ofDay] = [midnight(date), timeOfDay(time)];
  return day === undefined || ofDay === undefined ? undefined : day + ofDay;
}

/** DT (PS3.5 6.2); its own offset counts only where the zone of the other times is known (0008,0201). */
function dateTime(value: string, zone: string | undefined): number | undefined {
  const match = /^(\d{8})(\d{2,6}(?:\.\d{1,6})?)([+-]\d{4})?$/.exec(value);
  const seconds = match ? dateAndTime(match[1], match[2]) : undefined;
  const [own, others] = [offset(match?.[3]), offset(zone)];
  if (seconds === undefined || own === undefined || others === undefined) return seconds;
  return seconds - own + others;
}

function offset(zone: string | undefined): number | undefined {
  const match = /^([+-])(\d{2})(\d{2})$/.exec(zone ?? "");
  if (!match) return undefined;
  return (match[1] === "-" ? -1 : 1) * (Number(match[2]) * 3600 + Number(match[3]) * 60);
}

function midnight(date: string | undefined): number | undefined {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(date ?? "");
  if (!match) return undefined;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  const at = new Date(Date.UTC(year, month - 1, day));
  // 31 February would count as 3 March, and the year 45 as 1945.
  return at.getUTCFullYear() === year && at.getUTCMonth() === month - 1 && at.getUTCDate() === day
    ? at.getTime() / 1000
    : undefined;
}

function timeOfDay(time: string | undefined): number | undefined {
  const match = /^(\d{2}):?(?:(\d{2}):?(?:(\d{2}(?:\.\d{1,6})?))?)?$/.exec(time ?? "");
  if (!match) return undefined;
  const [hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0)) as [number, number, number];
  // 60 is a leap second.
  return hours < 24 && minutes < 60 && seconds <= 60 ? hours * 3600 + minutes * 60 + seconds : undefined;
}
