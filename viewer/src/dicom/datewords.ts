/** Days and months as people type them in a search, turned into what the archive's search reads. */
import { en } from "../i18n/en";
import { LANGUAGES, monthNames, t } from "../i18n/language";

const CHINESE_OR_JAPANESE = /(\d{4})\s*年(?:\s*(\d{1,2})\s*月(?:\s*(\d{1,2})\s*[日号])?)?/g;

/**
 * The same words with dates as numbers: "12 March 2026", "12. März 2026", "mars 2026", "1 de mayo de 2026",
 * "2026年3月" and "yesterday" become 2026-03-12 and so on. Months are known in every language, the words for
 * days in the language that is spoken and in English. A month without its year may be a name, and stays.
 */
export function datesAsNumbers(words: string, today: Date): string {
  return words
    .normalize("NFC")
    .replace(CHINESE_OR_JAPANESE, (_, year: string, month?: string, day?: string) => ` ${joined(year, month, day)} `)
    .replace(WITH_MONTH_NAME, (...match) => {
      const groups = match.at(-1) as Readonly<Record<"before" | "month" | "after" | "year", string | undefined>>;
      const month = MONTHS.get(folded(groups.month!))!;
      return joined(groups.year!, String(month), groups.before ?? groups.after);
    })
    .split(/\s+/)
    .map((word) => dayMeant(folded(word), today) ?? word)
    .join(" ")
    .trim();
}

function dayMeant(word: string, today: Date): string | undefined {
  const { searched } = t();
  const daysAgo = [en.searched, searched].flatMap(({ today: now, yesterday }) =>
    word === folded(now) ? [0] : word === folded(yesterday) ? [1] : [],
  )[0];
  if (daysAgo === undefined) return undefined;
  const day = new Date(today.getFullYear(), today.getMonth(), today.getDate() - daysAgo);
  return joined(String(day.getFullYear()), String(day.getMonth() + 1), String(day.getDate()));
}

function joined(year: string, month?: string, day?: string): string {
  return [year, month?.padStart(2, "0"), day?.padStart(2, "0")].filter((part) => part !== undefined).join("-");
}

/** Without accents, case, the point that shortens a word, and one kind of apostrophe for all. */
function folded(word: string): string {
  return word.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/\.$/, "").replace(/’/g, "'");
}

/** From the names of months, folded, in the languages that write them in letters, to 1 … 12. */
const MONTHS = new Map<string, number>(
  LANGUAGES.flatMap((one) => monthNames(one)).map(({ name, month }) => [folded(name), month] as const),
);

const WITH_MONTH_NAME = (() => {
  const names = LANGUAGES.flatMap((one) => monthNames(one)).map(({ name }) => name.replace(/\.$/, ""));
  const any = [...new Set([...names, ...names.map(folded)])].sort((a, b) => b.length - a.length).join("|");
  const before = String.raw`(?:(?<before>\d{1,2})(?:\.|st|nd|rd|th|er|º)?\s+(?:de\s+|of\s+)?)?`;
  const after = String.raw`(?:\s+(?<after>\d{1,2})(?:st|nd|rd|th)?,?)?`;
  const year = String.raw`\s+(?:de\s+|del\s+)?(?<year>\d{4})`;
  return new RegExp(String.raw`(?<![\p{L}\d])${before}(?<month>${any})\.?,?${after}${year}(?!\d)`, "giu");
})();
