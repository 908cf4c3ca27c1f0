/**
 * The language the page speaks: a stored choice, else the first that the browser asks for and that
 * is here, else English. `t()` gives its messages; whoever reads them while drawing is drawn anew
 * when the language changes.
 */
import { remember, remembered } from "./kept";
import { batch, createSignal } from "solid-js";
import { en, type Messages } from "./en";

export type { Messages } from "./en";

interface Voice {
  /** The language by its own name. */
  readonly name: string;
  /** For `<html lang>`. */
  readonly tag: string;
  /** For numbers and dates. */
  readonly locale: string;
  /** Days of one width stand under one another; Chinese and Japanese write theirs without a zero. */
  readonly day: "2-digit" | "numeric";
  readonly load: () => Promise<Messages>;
}

const VOICES = {
  en: { name: "English", tag: "en", locale: "en-GB", day: "2-digit", load: () => Promise.resolve(en) },
  de: { name: "Deutsch", tag: "de", locale: "de-DE", day: "2-digit", load: async () => (await import("./de")).de },
  fr: { name: "Français", tag: "fr", locale: "fr-FR", day: "2-digit", load: async () => (await import("./fr")).fr },
  es: { name: "Español", tag: "es", locale: "es-ES", day: "2-digit", load: async () => (await import("./es")).es },
  zh: { name: "简体中文", tag: "zh-Hans", locale: "zh-Hans-CN", day: "numeric", load: async () => (await import("./zh")).zh },
  ja: { name: "日本語", tag: "ja", locale: "ja-JP", day: "numeric", load: async () => (await import("./ja")).ja },
} as const satisfies Record<string, Voice>;

export type Language = keyof typeof VOICES;

export const LANGUAGES = Object.keys(VOICES) as readonly Language[];

interface Spoken {
  readonly language: Language;
  readonly messages: Messages;
}

const [spoken, setSpoken] = createSignal<Spoken>({ language: "en", messages: en });

/** The messages of the language that is spoken now. */
export const t = (): Messages => spoken().messages;

export const language = (): Language => spoken().language;

export const languageName = (code: Language): string => VOICES[code].name;

export const languageTag = (code: Language): string => VOICES[code].tag;

/** The language to speak: the one chosen before, else the first wanted ("de-AT" is German), else English. */
export function chooseLanguage(stored: string | null, wanted: readonly string[]): Language {
  const primary = wanted.map((tag) => tag.toLowerCase().split("-")[0]!);
  return [stored, ...primary].find(isLanguage) ?? "en";
}

function isLanguage(code: string | null): code is Language {
  return code !== null && Object.hasOwn(VOICES, code);
}

/** Messages that come with a part of the page: fetches those of a language; what it gives speaks them. */
export type Part = (code: Language) => Promise<() => void>;

const parts: Part[] = [];

/** The language that was asked for last; it is spoken, or on its way. */
let wanted: Language = "en";
let asked = 0;

/** From now on this part speaks the language of the page; resolves once its messages are here. */
export async function joinIn(part: Part): Promise<void> {
  parts.push(part);
  let turn = () => {};
  for (let code: Language | undefined; code !== wanted; ) {
    code = wanted;
    turn = await part(code);
  }
  // Else it is turned with the rest.
  if (wanted === language()) turn();
}

/** Fetches all messages of a language; what it gives speaks them. */
async function learnt(code: Language): Promise<() => void> {
  const messages = await VOICES[code].load();
  const turns: (() => void)[] = [];
  // Parts may join in meanwhile.
  while (turns.length < parts.length) turns.push(...(await Promise.all(parts.slice(turns.length).map((part) => part(code)))));
  return () =>
    batch(() => {
      setSpoken({ language: code, messages });
      for (const turn of turns) turn();
    });
}

/** Speaks a language once its messages are here. Of two asked for in a row, the later one is spoken. */
export async function speak(code: Language): Promise<void> {
  asked += 1;
  const own = asked;
  wanted = code;
  const turn = await learnt(code).catch((error: unknown) => {
    if (own === asked) wanted = language();
    throw error;
  });
  if (own !== asked) return;
  turn();
  if (typeof document !== "undefined") document.documentElement.lang = languageTag(code);
}

const KEY = "gantry.language";

/** Before the page is drawn for the first time. English is always here; the others must be fetched. */
export async function speakChosen(): Promise<void> {
  try {
    await speak(chooseLanguage(remembered(KEY), navigator.languages));
  } catch {
    await speak("en"); // The network failed; the page still opens, and its list says what is wrong.
  }
}

/** What a person chose: spoken at once, and kept on this device. */
export async function choose(code: Language): Promise<void> {
  await speak(code);
  remember(KEY, code);
}

/** Making a format takes longer than using it a hundred times, and numbers on the image change with every move. */
const numberFormats = new Map<string, Intl.NumberFormat>();

/**
 * A value as the language writes it, with `least` to `most` digits after the point. Without marks between
 * the thousands: a point that parts them in one language parts the decimals in another.
 */
export function numberInWords(value: number, most = 3, least = 0): string {
  const { locale } = VOICES[language()];
  const key = `${locale} ${least} ${most}`;
  let format = numberFormats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale, {
      maximumFractionDigits: most,
      minimumFractionDigits: least,
      useGrouping: false,
      signDisplay: "negative", // not of a zero
    });
    numberFormats.set(key, format);
  }
  return format.format(value);
}

/** What is nearer to zero, or as far from it, is told as a power of ten. */
const SMALLEST_PLAIN = 1e-4;
const LARGEST_PLAIN = 1e9;
/** Numbers of 32 bits hold every whole number up to this one. */
const LARGEST_EXACT = 2 ** 24;
const MOST_DIGITS = 20;

/** A value with so many significant digits, whatever its size; whole numbers with all of theirs. */
export function significantInWords(value: number, digits: number): string {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size <= LARGEST_EXACT) return numberInWords(value, 0);
  const isPlain = size === 0 || !Number.isFinite(size) || (size >= SMALLEST_PLAIN && size < LARGEST_PLAIN);
  if (isPlain) return numberInWords(Number(value.toPrecision(digits)), MOST_DIGITS);
  const { locale } = VOICES[language()];
  const key = `${locale} e${digits}`;
  let format = numberFormats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale, { notation: "scientific", maximumSignificantDigits: digits });
    numberFormats.set(key, format);
  }
  return format.format(value);
}

const dayFormats = new Map<string, Intl.DateTimeFormat>();

/** A day with its month in letters, so that no reader takes one for the other. Months from 1. */
export function dayInWords(year: number, month: number, day: number): string {
  const { locale, day: width } = VOICES[language()];
  let format = dayFormats.get(locale);
  if (!format) {
    format = new Intl.DateTimeFormat(locale, { day: width, month: "short", year: "numeric", timeZone: "UTC" });
    dayFormats.set(locale, format);
  }
  return format.format(Date.UTC(year, month - 1, day));
}

/** The months, 1 … 12, by their long and their short names; none where a language counts them. */
export function monthNames(code: Language): readonly { readonly name: string; readonly month: number }[] {
  return (["long", "short"] as const).flatMap((width) => {
    const format = new Intl.DateTimeFormat(VOICES[code].locale, { month: width, timeZone: "UTC" });
    const names = Array.from({ length: 12 }, (_, at) => ({ name: format.format(Date.UTC(2026, at, 1)), month: at + 1 }));
    return names.filter(({ name }) => !/\d/.test(name) && name.length > 2);
  });
}
