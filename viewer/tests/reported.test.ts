import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reports, ReportedMeasurement } from "../src/api/reports";
import { toldInWords } from "../src/dicom/measurewords";
import { createReported } from "../src/state/reported";

const SPACING = { x: 0.5, y: 0.5, unit: "mm", atDetector: false } as const;

function source(n: number) {
  const uid = `1.2.${n}`;
  return { sopInstanceUid: uid, seriesInstanceUid: `${uid}.9`, title: `T${n}`, date: `2026010${n}`, time: "1200", observer: "" };
}

function one(id: string, report: number, more: Partial<ReportedMeasurement> = {}): ReportedMeasurement {
  const image = { seriesInstanceUid: "1", sopInstanceUid: "1.1", sopClassUid: "1.2" };
  return { id, kind: "length", image, points: [[0.5, 0.5], [10.5, 0.5]], source: source(report), ...more };
}

async function read(reports: Partial<Reports>, drafted: readonly string[] = [], isHere = true) {
  const answer: Reports = { reports: 1, measurements: [], notUnderstood: [], ...reports };
  const made = createReported({
    read: async () => answer,
    spacingOf: async () => (isHere ? SPACING : undefined),
    drafted: () => new Set(drafted),
  });
  await made.ask();
  return made;
}

test("by report, the newest first, in the pixels of the page", async () => {
  const made = await read({ measurements: [one("a", 1), one("b", 2), one("a", 2)] });
  assert.deepEqual(made.read().map(({ source: { title }, list }) => [title, list.length]), [["T2", 2], ["T1", 1]]);
  const [first] = made.visible();
  assert.deepEqual(first!.shape.points, [{ x: 0, y: 0 }, { x: 10, y: 0 }]);
  assert.equal(new Set(made.visible().map(({ shape }) => shape.id)).size, 3, "ids that others gave twice are told apart");
  made.setHidden(true);
  assert.deepEqual(made.visible(), []);
  assert.equal(made.read().length, 2);
});

test("what is in the draft is not seen a second time", async () => {
  const made = await read({ measurements: [one("a", 1), one("b", 1)] }, ["a"]);
  assert.deepEqual(made.visible().map(({ name }) => name), ["b"]);
});

test("a text is a place with words beside it, and what cannot be drawn is counted", async () => {
  const text = one("t", 1, { kind: "text", points: [[3, 3]], text: "here" });
  const bent = one("s", 1, { points: [], points3d: [[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], kind: "cobb" });
  const made = await read({ measurements: [text, bent], notUnderstood: [{ sopInstanceUid: "1.2.1", reason: "why", count: 2 }] });
  const [shape] = made.visible();
  assert.deepEqual([shape!.shape.kind, shape!.shape.label], ["probe", "here"]);
  assert.deepEqual([made.read()[0]!.missed, made.read()[0]!.reasons], [3, "why"]);
});

test("one whose image is elsewhere is listed", async () => {
  const made = await read({ measurements: [one("a", 1)] }, [], false);
  assert.deepEqual(made.read()[0]!.list.map(({ isHere }) => isHere), [false]);
});

test("what went wrong is told, and asked again it may come", async () => {
  let isAway = true;
  const made = createReported({
    async read() {
      if (isAway) throw new Error("away");
      return { reports: 1, measurements: [one("a", 1)], notUnderstood: [] };
    },
    spacingOf: async () => SPACING,
    drafted: () => new Set<string>(),
  });
  await made.ask();
  assert.equal(made.failure()?.message, "away");
  isAway = false;
  await made.ask();
  assert.deepEqual([made.failure(), made.visible().length], [null, 1]);
});

test("a report's own values are shown, whatever it calls them", () => {
  const told = (name: string, value: number, unit: string) => ({ name, value, unit });
  assert.deepEqual(toldInWords([told("length", 4.025316, "mm")]), ["4.03 mm"]);
  assert.deepEqual(toldInWords([told("longAxis", 40, "mm"), told("shortAxis", 20.5, "mm")]), ["40 × 20.5 mm"]);
  assert.deepEqual(toldInWords([told("diameter", 10, "mm"), told("area", 1.7, "cm2")]), ["⌀ 10 mm · 1.7 cm²"]);
  assert.deepEqual(toldInWords([told("angle", 90, "deg")]), ["90°"]);
  const spread = [told("mean", 40.5, "[hnsf'U]"), told("standardDeviation", 2.5, "[hnsf'U]"), told("minimum", -3, "[hnsf'U]"), told("maximum", 9, "[hnsf'U]")];
  assert.deepEqual(toldInWords(spread), ["Mean 40.5 HU, SD 2.5", "Min -3, max 9"]);
  assert.deepEqual(toldInWords([told("minimum", -3, "1"), told("Pixel by pixel mean", 25, "1")]), ["Min -3", "Pixel by pixel mean 25"]);
  assert.deepEqual(toldInWords([told("perimeter", 12, "mm")]), ["Perimeter 12 mm"]);
});
