import assert from "node:assert/strict";
import { test } from "node:test";
import {
  dictionaryOf,
  found,
  fullText,
  inlineBytes,
  lineOf,
  partsOf,
  rowsOf,
  tagShown,
  type Row,
} from "../src/dicom/attributes";
import type { DicomObject } from "../src/dicom/model";

const dictionary = dictionaryOf({
  "00100010": ["PN", "PatientName", "Patient's Name"],
  "00081140": ["SQ", "ReferencedImageSequence", "Referenced Image Sequence"],
  "00081155": ["UI", "ReferencedSOPInstanceUID", "Referenced SOP Instance UID"],
  "60xx3000": ["OB or OW", "OverlayData", "Overlay Data"],
  "60xx1xx0": ["US", "Broad", "Broad"],
  "60xx1100": ["US", "Narrow", "Narrow"],
});

const object: DicomObject = {
  "00100010": { vr: "PN", Value: [{ Alphabetic: "Doe^Jane", Ideographic: "東" }] },
  "00081140": {
    vr: "SQ",
    Value: [{ "00081155": { vr: "UI", Value: ["1.2.3"] } }, { "00081155": { vr: "UI", Value: ["1.2.4"] } }],
  },
  "00090010": { vr: "LO", Value: ["MAKER"] },
  "00091001": { vr: "UN", InlineBinary: "AAECAw==" },
  "00280010": { vr: "US", Value: [3] },
};

const rows = (open: readonly string[], of = partsOf(object, 1, undefined)): Row[] => [...rowsOf(of, new Set(open))];
const search = (words: string): string[] =>
  [...found(partsOf(object, 1, undefined), words, dictionary)].flatMap((row) => (row ? [row.path] : []));

test("attributes stand in the order of their tags, sequences folded", () => {
  assert.deepEqual(rows([]).map(({ tag }) => tag), ["00081140", "00090010", "00091001", "00100010", "00280010"]);
  assert.equal(rows([])[0]!.below, 2);
});

test("an open sequence shows its Items, an open Item its attributes", () => {
  const seen = rows(["object/00081140", "object/00081140/2"]);
  assert.deepEqual(
    seen.slice(0, 4).map(({ kind, item, depth, path }) => [kind, item, depth, path]),
    [
      ["attribute", 0, 0, "object/00081140"],
      ["item", 1, 1, "object/00081140/1"],
      ["item", 2, 1, "object/00081140/2"],
      ["attribute", 0, 2, "object/00081140/2/00081155"],
    ],
  );
});

test("a private attribute is told with its creator, which reserves the block in the same Data Set", () => {
  const row = rows([]).find(({ tag }) => tag === "00091001")!;
  assert.equal(row.creator, "MAKER");
  assert.equal(rows([]).find(({ tag }) => tag === "00090010")!.creator, undefined);
});

test("the functional groups of the frame come first, then the head, each a part that opens", () => {
  const enhanced: DicomObject = {
    "52009229": { vr: "SQ", Value: [{ "00280010": { vr: "US", Value: [1] } }] },
    "52009230": { vr: "SQ", Value: [{}, { "00100010": { vr: "PN", Value: [] } }] },
  };
  const parts = partsOf(enhanced, 2, { "00020010": { vr: "UI", Value: ["1.2"] } });
  assert.deepEqual(parts.map(({ name }) => name), ["frame", "shared", "head", "object"]);
  assert.deepEqual(rows(["frame"], parts).map(({ path }) => path), ["frame", "frame/00100010", "shared", "head", "object"]);
  // A frame that has none is of an object with one part.
  assert.deepEqual(partsOf(enhanced, 9, undefined).map(({ name }) => name), ["object"]);
});

test("words are found in tag, keyword, name, value and creator, below what leads to them", () => {
  assert.deepEqual(search("patientname"), ["object/00100010"]);
  assert.deepEqual(search("patient's"), ["object/00100010"]);
  assert.deepEqual(search("(0010,0010)"), ["object/00100010"]);
  assert.deepEqual(search("0010,"), ["object/00100010"]);
  assert.deepEqual(search("doe jane"), ["object/00100010"]);
  assert.deepEqual(search("東"), ["object/00100010"]);
  assert.deepEqual(search("doe john"), []);
  assert.deepEqual(search("maker"), ["object/00090010", "object/00091001"]);
  assert.deepEqual(search("1.2.4"), ["object/00081140", "object/00081140/2", "object/00081140/2/00081155"]);
  assert.deepEqual(search("referenced"), [
    "object/00081140",
    "object/00081140/1",
    "object/00081140/1/00081155",
    "object/00081140/2",
    "object/00081140/2/00081155",
  ]);
  // What would be a pattern is text.
  assert.deepEqual(search(".*"), []);
});

test("a search tells nothing for what does not fit, so that whoever draws can pause", () => {
  assert.ok([...found(partsOf(object, 1, undefined), "nothing of this", dictionary)].length >= 5);
});

test("values as text: names with all groups, numbers, many values", () => {
  assert.equal(fullText(object["00100010"]), "Doe^Jane=東");
  assert.equal(fullText({ vr: "DS", Value: [0.5, null, 2] }), "0.5\\\\2");
  assert.equal(lineOf({ vr: "UT", Value: ["a\n  b"] }), "a b");
});

test("a line stays short whatever the value holds", () => {
  const long = "x".repeat(10_000_000);
  assert.equal(lineOf({ vr: "UT", Value: [long] }).length, 201);
  assert.equal(lineOf({ vr: "DS", Value: Array.from({ length: 100_000 }, () => 1) }).length, 201);
  assert.equal(fullText({ vr: "UT", Value: [long] }).length, long.length);
});

test("binary values are known by their size", () => {
  assert.equal(inlineBytes(object["00091001"]), 4);
  assert.equal(inlineBytes({ vr: "OB", InlineBinary: "" }), 0);
  assert.equal(inlineBytes({ vr: "OB" }), undefined);
});

test("the dictionary knows repeating groups, the most precise first, and no private attribute", () => {
  assert.equal(dictionary("60023000")?.keyword, "OverlayData");
  assert.equal(dictionary("60021100")?.keyword, "Narrow");
  assert.equal(dictionary("60021120")?.keyword, "Broad");
  assert.equal(dictionary("60013000"), undefined);
  assert.equal(dictionary("constructor"), undefined);
  assert.equal(tagShown("00100010"), "0010,0010");
});
