import assert from "node:assert/strict";
import { test } from "node:test";
import { displaySets, type Stack } from "../src/dicom/displaysets";
import { hangingOf, mammographyView, needsAllSeries, placing, playsByItself } from "../src/dicom/hanging";
import { linkPath, readLink } from "../src/dicom/link";
import type { DicomElement, DicomObject } from "../src/dicom/model";
import { framePhases } from "../src/dicom/phases";

let made = 0;
const of = (vr: string, ...values: readonly unknown[]): DicomElement => ({ vr, Value: values });
const image = (modality: string, more: DicomObject = {}, series = "1.1"): DicomObject => {
  made += 1;
  return {
    "00080018": of("UI", `1.1.${made}`),
    "00080060": of("CS", modality),
    "0020000E": of("UI", series),
    "00200013": of("IS", made),
    "00280010": of("US", 100),
    "00280011": of("US", 80),
    ...more,
  };
};
const breast = (side: string, view: string, along: string, columns = 80): DicomObject =>
  image("MG", {
    "00200062": of("CS", side),
    "00185101": of("CS", view),
    "00200020": of("CS", along, "F"),
    "00280011": of("US", columns),
    "00181164": of("DS", 0.5, 0.5),
  });

test("four mammograms hang with chest walls towards each other, in one scale", () => {
  const sets = displaySets([breast("L", "MLO", "A"), breast("R", "MLO", "P"), breast("L", "CC", "P", 120), breast("R", "CC", "P")]);
  assert.equal(sets.length, 4);
  const hanging = hangingOf(sets)!;
  assert.deepEqual([hanging.rows, hanging.columns], [2, 2]);
  const shown = hanging.cells.map((cell) => (sets.find(({ id }) => id === cell!.set) as Stack).part);
  assert.deepEqual(shown, ["R CC", "L CC", "R MLO", "L MLO"]);
  assert.deepEqual(hanging.cells.map((cell) => cell!.side), ["right", "left", "right", "left"]);
  // The left CC runs to the back, so its chest wall would lie outside.
  assert.deepEqual(hanging.cells.map((cell) => cell!.flip), [false, true, false, false]);
  assert.deepEqual(hanging.cells[0]!.fitMm, [60, 50]);
});

test("of what is not there a cell stays empty, and one mammogram hangs alone", () => {
  const two = hangingOf(displaySets([breast("R", "CC", "P"), breast("L", "MLO", "A")]))!;
  assert.deepEqual(two.cells.map((cell) => cell !== null), [true, false, false, true]);
  const row = hangingOf(displaySets([breast("R", "CC", "P"), breast("L", "CC", "A")]))!;
  assert.deepEqual([row.rows, row.cells.length], [1, 2]);
  assert.equal(hangingOf(displaySets([breast("R", "CC", "P")])), undefined);
});

test("a view is told by its code, else by its name", () => {
  const code = { "00540220": of("SQ", { "00080100": of("SH", "R-10226") }), "00185101": of("CS", "XX") };
  assert.equal(mammographyView(image("MG", code)), "MLO");
  assert.equal(mammographyView(image("MG", { "00185101": of("CS", "CC") })), "CC");
  assert.equal(mammographyView(image("MG", { "00185101": of("CS", "ML") })), undefined);
});

test("a frontal radiograph hangs left of the lateral one", () => {
  const sets = displaySets([image("DX", { "00185101": of("CS", "LL") }), image("DX", { "00185101": of("CS", "PA") })]);
  const { cells } = hangingOf(sets)!;
  assert.deepEqual(cells.map((cell) => (sets.find(({ id }) => id === cell!.set) as Stack).part), ["PA", "LL"]);
  assert.equal(needsAllSeries(sets[0]!), true);
});

test("a static scintigram shows its frames side by side, black on white; a long one alone", () => {
  const frames = (count: number, more: DicomObject = {}) =>
    displaySets([image("NM", { "00280008": of("IS", count), "00080008": of("CS", "ORIGINAL", "PRIMARY", "STATIC"), ...more })]);
  const two = hangingOf(frames(2))!;
  assert.deepEqual(two.cells.map((cell) => [cell!.index, cell!.inverted]), [[0, true], [1, true]]);
  assert.deepEqual([hangingOf(frames(4))!.rows, hangingOf(frames(4))!.columns], [2, 2]);
  assert.equal(hangingOf(frames(60))!.cells.length, 1);
  assert.equal(hangingOf(frames(2, { "00080008": of("CS", "ORIGINAL", "PRIMARY", "TOMO") }))!.cells.length, 1);
  // What is black on white already stays so.
  assert.equal(hangingOf(frames(2, { "00280004": of("CS", "MONOCHROME1") }))!.cells[0]!.inverted, false);
});

test("other studies hang as they come", () => {
  assert.equal(hangingOf(displaySets([image("CT"), image("CT")])), undefined);
  assert.equal(hangingOf([]), undefined);
});

test("clips play by themselves at the rate that their header tells", () => {
  const clip = (modality: string, more: DicomObject) => displaySets([image(modality, { "00280008": of("IS", 9), ...more })])[0] as Stack;
  assert.equal(playsByItself(clip("US", { "00181063": of("DS", 40) })), 25);
  assert.equal(playsByItself(clip("XA", { "00082144": of("IS", 15) })), 15);
  assert.equal(playsByItself(clip("US", {})), undefined);
  assert.equal(playsByItself(clip("CT", { "00181063": of("DS", 40) })), undefined);
});

test("a smaller picture is as large as the largest makes it, and touches its edge", () => {
  assert.deepEqual(placing([100, 100], [50, 50], { fitMm: [50, 100] }), { zoom: 0.5, right: 0 });
  assert.deepEqual(placing([100, 100], [50, 50], { fitMm: [50, 100], side: "right" }), { zoom: 0.5, right: 25 });
  assert.deepEqual(placing([100, 200], [50, 50], { side: "left" }), { zoom: 1, right: -0 });
});

const slice = (z: number, more: DicomObject): DicomObject =>
  image("MR", { "00200032": of("DS", 0, 0, z), "00200037": of("DS", 1, 0, 0, 0, 1, 0), ...more });

test("images that lie at the same places become a set for each phase", () => {
  const phases = [1, 2].flatMap((time) => [0, 1, 2].map((z) => slice(z, { "00200100": of("IS", time), "00180086": of("IS", 1) })));
  const sets = displaySets(phases.reverse()) as readonly Stack[];
  assert.deepEqual(sets.map(({ part, frames }) => [part, frames.length]), [["1/2", 3], ["2/2", 3]]);
  for (const { frames } of sets) assert.equal(new Set(frames.map(({ instance }) => instance["00200100"]!.Value![0])).size, 1);
});

test("what nothing tells apart stays one stack", () => {
  assert.equal(displaySets([0, 0, 1, 1].map((z) => slice(z, {}))).length, 1);
  assert.equal(displaySets([0, 1, 2].map((z) => slice(z, { "00200100": of("IS", z) }))).length, 1);
});

test("images of different size in one series are sets of their own", () => {
  const sets = displaySets([slice(0, {}), slice(1, {}), slice(0, { "00280010": of("US", 512) })]) as readonly Stack[];
  assert.deepEqual(sets.map(({ part, frames }) => [part, frames.length]), [["80 × 100", 2], ["80 × 512", 1]]);
});

const enhanced = (pointers: readonly string[], ...indexes: readonly (readonly number[])[]): DicomObject =>
  image("MR", {
    "00280008": of("IS", indexes.length),
    "00209222": of("SQ", ...pointers.map((tag) => ({ "00209165": of("AT", tag) }))),
    "52009230": of("SQ", ...indexes.map((values) => ({ "00209111": of("SQ", { "00209157": of("UL", ...values) }) }))),
  });

test("frames go in the order of their dimensions, a stack for each time", () => {
  const object = enhanced(["00209057", "00209128"], [1, 1], [1, 2], [2, 1], [2, 2]);
  assert.deepEqual(framePhases(object).map(({ members }) => members), [[1, 3], [2, 4]]);
  const sets = displaySets([object]) as readonly Stack[];
  assert.deepEqual(sets.map(({ part }) => part), ["1/2", "2/2"]);
  assert.equal(sets[1]!.id, `${sets[0]!.id}~2`);
  const link = { study: "1.2", series: "1.1", instance: sets[1]!.id, frame: undefined, window: undefined };
  assert.deepEqual(readLink("/view/1.2", linkPath(link).split("?")[1]!), link);
});

test("one dimension, unknown ones and broken indexes keep all frames together", () => {
  assert.deepEqual(framePhases(enhanced(["00209057"], [3], [1], [2])), [{ name: "", members: [2, 3, 1] }]);
  assert.deepEqual(framePhases(enhanced(["00209128"], [2], [1])), [{ name: "", members: [2, 1] }]);
  assert.deepEqual(framePhases(enhanced(["00209057", "00209128"], [1, 1], [1])), [{ name: "", members: [1, 2] }]);
  assert.deepEqual(framePhases(image("MR", { "00280008": of("IS", 2) })), [{ name: "", members: [1, 2] }]);
});
