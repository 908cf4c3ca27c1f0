import assert from "node:assert/strict";
import { test } from "node:test";
import { datesAsNumbers } from "../src/dicom/datewords";
import { speak } from "../src/i18n/language";

const TODAY = new Date(2026, 2, 1, 0, 30);

test("days and months are read as each language writes them", () => {
  const typed: Readonly<Record<string, string>> = {
    "March 2026": "2026-03",
    "smith ct Mar 2026": "smith ct 2026-03",
    "12 March 2026": "2026-03-12",
    "March 3rd, 2026 smith": "2026-03-03 smith",
    "3. März 2026": "2026-03-03",
    "marz 2026": "2026-03",
    "Müller Dez. 2025": "Müller 2025-12",
    "février 2026": "2026-02",
    "1er août 2026": "2026-08-01",
    "1 de mayo de 2026": "2026-05-01",
    "2026年3月": "2026-03",
    "田中 2026年3月12日": "田中 2026-03-12",
    "2026年": "2026",
  };
  for (const [words, read] of Object.entries(typed)) assert.equal(datesAsNumbers(words, TODAY), read);
});

test("what is no date stays as it was typed", () => {
  for (const words of ["may", "Mai, Anna", "April", "smith", "2026-03", "1.3.2026", "Marching 2026", "12345", ""])
    assert.equal(datesAsNumbers(words, TODAY), words);
});

test("days are named in the language that is spoken, and in English", async () => {
  assert.equal(datesAsNumbers("today", TODAY), "2026-03-01");
  assert.equal(datesAsNumbers("smith Yesterday", TODAY), "smith 2026-02-28");
  assert.equal(datesAsNumbers("heute", TODAY), "heute");
  await speak("de");
  assert.equal(datesAsNumbers("Heute CT", TODAY), "2026-03-01 CT");
  await speak("fr");
  assert.equal(datesAsNumbers("aujourd'hui", TODAY), "2026-03-01");
  await speak("ja");
  assert.equal(datesAsNumbers("昨日", TODAY), "2026-02-28");
  await speak("en");
});

test("long words do not take long", () => {
  assert.equal(datesAsNumbers("1 ".repeat(5000), TODAY).length, 9999);
});
