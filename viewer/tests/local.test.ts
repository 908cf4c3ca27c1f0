import assert from "node:assert/strict";
import { test } from "node:test";
import { createLocalFiles, problemDetail, type FoundFile } from "../src/state/local";
import { isLocal } from "../src/state/localfiles";
import type { Read } from "../src/state/localreading";
import type { ReadFiles } from "../src/state/localworker";
import type { DicomElement, DicomObject } from "../src/dicom/model";
import { text } from "../src/dicom/model";

const element = (vr: string, value: unknown): DicomElement => ({ vr, Value: [value] });

function object(study: string, series: string, instance: string, more: Readonly<Record<string, DicomElement>> = {}): DicomObject {
  return {
    "00080018": element("UI", instance), "0020000D": element("UI", study), "0020000E": element("UI", series),
    "00080060": element("CS", "CT"), "00100020": element("LO", "P1"), ...more,
  };
}

/** What each file holds, by its name; read again it holds the same. */
function reading(holds: Readonly<Record<string, Omit<Read, "number">>>): ReadFiles {
  return (files) => Promise.resolve(files.map(({ number, file }) => ({ number, ...holds[file.name] })));
}

const given = (...paths: string[]): FoundFile[] =>
  paths.map((path) => ({ path, file: new File([], path.slice(path.lastIndexOf("/") + 1)) }));

test("objects are sorted into series and studies, and what else there is is counted", async () => {
  const local = createLocalFiles(
    reading({
      a: { object: object("1", "1.1", "1.1.1") },
      b: { object: object("1", "1.1", "1.1.2") },
      again: { object: object("1", "1.1", "1.1.2") },
      c: { object: object("1", "1.2", "1.2.1", { "00080060": element("CS", "SR") }) },
      d: { object: object("2", "2.1", "2.1.1", { "00100010": element("PN", { Alphabetic: "A" }) }) },
      letter: { problem: { why: "notDicom" } },
      cut: { problem: { why: "cut", tag: "7FE00010", offset: 12 } },
    }),
  );
  await local.read(given("a", "x/b", "again", "c", "d", "letter", "x/cut"));
  const { studies, objects, passedOver, repeated, problems, busy, done } = local.state();
  assert.deepEqual([objects, passedOver, repeated, busy, done], [4, 1, 1, false, 7]);
  assert.deepEqual(studies.map(({ uid, series, objects: held }) => [uid, series, held]).sort(), [["1", 2, 3], ["2", 1, 1]]);
  assert.deepEqual(problems, [{ why: "cut", tag: "7FE00010", offset: 12, path: "x/cut" }]);
  assert.equal(problemDetail(problems[0]!), "cut (7FE0,0010) @12");
  assert.equal(local.filesOf("1").length, 3);
  local.forget();
  assert.deepEqual([local.has("1"), local.state().total], [false, 0]);
});

test("the rest of the page asks for series, metadata and other studies as it asks the server", async () => {
  const signal = new AbortController().signal;
  const local = createLocalFiles(
    reading({ a: { object: object("1", "1.1", "1.1.1") }, b: { object: object("1", "1.1", "1.1.2") }, c: { object: object("2", "2.1", "2.1.1") } }),
  );
  await local.read(given("a", "b", "c"));
  const [series] = await local.findSeries("1", signal);
  assert.equal(text(series, "00201209"), "2");
  const metadata = await local.seriesMetadata("1", "1.1", signal);
  assert.deepEqual(metadata.map((one) => [text(one, "00080018"), isLocal(one)]), [["1.1.1", true], ["1.1.2", true]]);
  assert.equal(isLocal(object("1", "1.1", "1.1.1")), false);
  assert.deepEqual((await local.findStudiesOfPatient("P1", signal)).map((one) => text(one, "0020000D")), ["1", "2"]);
  assert.equal(await local.findStudy("3", signal), undefined);
  await assert.rejects(local.findSeries("3", signal));
  await assert.rejects(local.seriesMetadata("1", "9", signal));
});

test("a disc's own list gives the order of studies, and tells what is absent", async () => {
  const local = createLocalFiles(
    reading({
      DICOMDIR: { directory: ["IMG/SECOND", "IMG/FIRST", "IMG/LOST"] },
      first: { object: object("1", "1.1", "1.1.1", { "00100010": element("PN", { Alphabetic: "A" }) }) },
      second: { object: object("2", "2.1", "2.1.1", { "00100010": element("PN", { Alphabetic: "B" }) }) },
    }),
  );
  await local.read(given("CD/img/first", "CD/img/second", "CD/DICOMDIR"));
  assert.deepEqual(local.state().studies.map(({ uid }) => uid), ["2", "1"]);
  assert.deepEqual([local.state().absent, local.state().problemCount], [1, 0]);
});

test("thousands of files come in pieces; what is cancelled stays where it was", async () => {
  let asked = 0;
  const local = createLocalFiles((files) => {
    asked += files.length;
    if (asked === 64) local.cancel();
    return Promise.resolve(files.map(({ number, file }) => ({ number, object: object("1", "1.1", `1.${file.name}`) })));
  });
  await local.read(given(...Array.from({ length: 3000 }, (_, at) => `${at}`)));
  assert.deepEqual([asked, local.state().objects, local.state().busy], [64, 32, false]);
});

test("a failure of the program is shown, and what was read before stays", async () => {
  let calls = 0;
  const local = createLocalFiles((files) => {
    calls += 1;
    if (calls > 1) return Promise.reject(new Error("no worker"));
    return Promise.resolve(files.map(({ number, file }) => ({ number, object: object("1", "1.1", `1.${file.name}`) })));
  });
  await local.read(given(...Array.from({ length: 50 }, (_, at) => `${at}`)));
  assert.equal(local.state().crash?.message, "no worker");
  assert.equal(local.state().objects, 32);
  await local.read(Promise.reject(new Error("a folder could not be opened")));
  assert.equal(local.state().crash?.message, "a folder could not be opened");
});
