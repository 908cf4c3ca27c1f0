import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, refused } from "../src/api/http";
import { reportLines } from "../src/dicom/report";
import { ageInWords, dateInWords, modalityInWords, nameInWords, sexInWords } from "../src/dicom/words";
import { en as common } from "../src/i18n/en";
import { LANGUAGES, type Language, chooseLanguage, joinIn, language, numberInWords, speak } from "../src/i18n/language";
import { t } from "../src/i18n/study";
import { en as study } from "../src/i18n/study/en";
import { COMMANDS, commandWords, keyShown } from "../src/tools/keys";

type Part = string | ((...values: never[]) => Part) | { readonly [place: string]: Part };

/** Every text of a tree with its place. What takes values is given its place's own ones. */
function texts(part: Part, place = ""): readonly (readonly [string, string])[] {
  if (typeof part === "string") return [[place, part]];
  if (typeof part === "function") {
    const values = Array.from({ length: part.length }, (_, at) => (takesText(place, at) ? "7.5" : 41 + at));
    return texts(part(...(values as never[])), `${place}()`);
  }
  return Object.entries(part).flatMap(([name, inner]) => texts(inner, `${place}.${name}`));
}

/** The values of these are text already: numbers with a unit, names of channels, words of the server. */
function takesText(place: string, at: number): boolean {
  const textual = [".errors.notTaken", ".measure.atDetector", ".measure.meanAndSd", ".measure.minAndMax", ".overlay.thickness", ".overlay.location", ".overlay.window"];
  if (place === ".measure.place") return at === 0;
  return textual.includes(place) || (place === ".sheet.waveform" && at > 0);
}

const en = { ...common, ...study };

async function inEach(look: (code: Language) => void): Promise<void> {
  for (const code of LANGUAGES) {
    await speak(code);
    look(code);
  }
  await speak("en");
}

test("every language says something at every place", async () => {
  const english = texts(en as Part);
  await inEach((code) => {
    const said = texts(t() as Part);
    assert.deepEqual(said.map(([place]) => place), english.map(([place]) => place), code);
    for (const [place, words] of said) assert.ok(words.trim() !== "" && words === words.trim(), `${code}${place}`);
  });
});

test("what takes values says them", async () => {
  await inEach((code) => {
    for (const [place, words] of texts(t() as Part)) {
      if (place.includes("()") && !place.endsWith("advice")) assert.ok(/41|7\.5/.test(words), `${code}${place}: ${words}`);
    }
  });
});

test("no sentence is left in English", async () => {
  const sentences = texts(en as Part).filter(([, words]) => words.split(/\b[a-z]{3}/).length > 3);
  assert.ok(sentences.length > 30);
  await inEach((code) => {
    if (code === "en") return;
    const said = new Map(texts(t() as Part));
    for (const [place, words] of sentences) assert.ok(said.get(place) !== words, `${code}${place}`);
  });
});

test("one and many", async () => {
  const counted = async (code: Language) => {
    await speak(code);
    return [0, 1, 2, 1200].map((n) => t().counts.images(n).replace(/\s/g, " "));
  };
  assert.deepEqual(await counted("en"), ["0 images", "1 image", "2 images", "1,200 images"]);
  assert.deepEqual(await counted("de"), ["0 Bilder", "1 Bild", "2 Bilder", "1.200 Bilder"]);
  assert.deepEqual(await counted("fr"), ["0 image", "1 image", "2 images", "1 200 images"]);
  assert.deepEqual(await counted("es"), ["0 imágenes", "1 imagen", "2 imágenes", "1200 imágenes"]);
  assert.deepEqual(await counted("zh"), ["0 幅图像", "1 幅图像", "2 幅图像", "1,200 幅图像"]);
  assert.deepEqual(await counted("ja"), ["0画像", "1画像", "2画像", "1,200画像"]);
  await speak("en");
});

test("no reader takes the day for the month", async () => {
  const days: Record<string, string> = {};
  await inEach((code) => {
    days[code] = dateInWords("20260201");
    assert.ok(days[code] !== dateInWords("20260102"), code);
    assert.ok(!/\d\D?\d?[./-]\d/.test(days[code]), days[code]);
  });
  assert.equal(days["en"], "01 Feb 2026");
  assert.ok(/^01\.? Feb\.? 2026$/.test(days["de"]!), days["de"]);
  assert.ok(/^01 févr\.? 2026$/.test(days["fr"]!), days["fr"]);
  assert.ok(/^0?1 feb 2026$/.test(days["es"]!), days["es"]);
  assert.deepEqual([days["zh"], days["ja"]], ["2026年2月1日", "2026年2月1日"]);
});

test("a day that no calendar has is shown as it was sent", () => {
  for (const sent of ["20260231", "00450310", "20261301", "20260100", "2026", "unknown"]) assert.equal(dateInWords(sent), sent);
  assert.equal(dateInWords("20240229"), "29 Feb 2024");
  assert.equal(dateInWords(undefined), "");
});

test("values of DICOM in German and Japanese", async () => {
  const said = () => [
    nameInWords("^^"),
    sexInWords("F"),
    ageInWords("19700315", "20260314"),
    ageInWords("20260101", "20260102"),
    modalityInWords("US"),
    modalityInWords("constructor"),
    numberInWords(12345.25, 1),
    numberInWords(-0.02, 1, 1),
  ];
  await speak("de");
  assert.deepEqual(said(), ["Ohne Namen", "w", "55 J.", "1 Tag", "Ultraschall", "constructor", "12345,3", "0,0"]);
  await speak("ja");
  assert.deepEqual(said(), ["氏名なし", "女性", "55歳", "1日", "超音波", "constructor", "12345.3", "0.0"]);
  await speak("en");
});

test("a measured value is never rounded", async () => {
  const measured = {
    "0040A040": { vr: "CS", Value: ["NUM"] },
    "0040A300": { vr: "SQ", Value: [{ "0040A30A": { vr: "DS", Value: [1234.000625] }, "004008EA": { vr: "SQ", Value: [{ "00080100": { vr: "SH", Value: ["mm"] } }] } }] },
  };
  const report = { "0040A730": { vr: "SQ", Value: [measured] } };
  assert.equal(reportLines(report)[0]?.value, "1234.000625 mm");
  await speak("de");
  assert.equal(reportLines(report)[0]?.value, "1234,000625 mm");
  await speak("en");
});

test("the stored choice, else what the browser wants and is here, else English", () => {
  assert.equal(chooseLanguage("ja", ["de-AT", "en"]), "ja");
  assert.equal(chooseLanguage(null, ["pt-BR", "de-AT", "en"]), "de");
  assert.equal(chooseLanguage(null, ["ZH-Hant-TW"]), "zh");
  assert.equal(chooseLanguage("klingon", ["fr"]), "fr");
  assert.equal(chooseLanguage("toString", []), "en");
  assert.equal(chooseLanguage(null, ["pt"]), "en");
});

test("of two languages asked for in a row the later one is spoken", async () => {
  await Promise.all([speak("de"), speak("fr"), speak("en"), speak("es")]);
  assert.equal(language(), "es");
  assert.equal(t().list.title, "Estudios");
  await speak("en");
});

test("an error that is shown speaks the language of now", async () => {
  const error = refused(507, "POST /api/upload: 507");
  assert.equal(error.message, en.errors.diskFull.message);
  await speak("de");
  assert.equal(error.message, "Der Speicher des Archivs ist voll.");
  assert.equal(refused(418, "").message, t().errors.refused.message);
  const server = new ApiError(() => t().errors.notTaken("Not DICOM."), "");
  assert.ok(server.message.includes("„Not DICOM.“"));
  await speak("en");
});

test("every command has words and a key to show, in every language", async () => {
  await inEach((code) => {
    for (const { id } of Object.values(COMMANDS)) assert.ok(commandWords(id) && keyShown(id), `${code} ${id}`);
  });
  await speak("de");
  assert.equal(keyShown("play"), "Leertaste");
  await speak("en");
});

test("a part of the page that comes later speaks as the rest does", async () => {
  const said: string[] = [];
  const part = (code: Language) => Promise.resolve(() => void said.push(code));
  await speak("de");
  await joinIn(part);
  assert.deepEqual(said, ["de"]);
  const coming = speak("fr");
  await joinIn(part);
  await coming;
  assert.deepEqual(said, ["de", "fr", "fr"]);
  await speak("en");
});
