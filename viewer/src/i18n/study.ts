/**
 * All that is said where a study is looked at: what every page says, and messages that come with that part of the page.
 * Until those of a language are here, English is spoken.
 */
import { createSignal } from "solid-js";
import { joinIn, t as said, type Language, type Messages } from "./language";
import { en, type StudyMessages } from "./study/en";

export type { StudyMessages } from "./study/en";

const LOADS: Readonly<Record<Language, () => Promise<StudyMessages>>> = {
  en: () => Promise.resolve(en),
  de: async () => (await import("./study/de")).de,
  fr: async () => (await import("./study/fr")).fr,
  es: async () => (await import("./study/es")).es,
  zh: async () => (await import("./study/zh")).zh,
  ja: async () => (await import("./study/ja")).ja,
};

const [spoken, setSpoken] = createSignal<StudyMessages>(en);

const together = (common: Messages, study: StudyMessages) => ({ common, study, all: { ...common, ...study } });

let last = together(said(), en);

export function t(): Messages & StudyMessages {
  const [common, study] = [said(), spoken()];
  if (common !== last.common || study !== last.study) last = together(common, study);
  return last.all;
}

/** The language is spoken here too, or cannot be had. */
export const studySpoken: Promise<void> = joinIn(async (code) => {
  const messages = await LOADS[code]();
  return () => void setSpoken(() => messages);
}).catch(() => undefined);
