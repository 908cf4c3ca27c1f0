import assert from "node:assert/strict";
import { test } from "node:test";
import type { Draft, DraftMeasurement } from "../src/api/drafts";
import { fromDraft, toDraft } from "../src/state/draftform";
import { shownUnit, ucum } from "../src/dicom/units";
import { pointAt, type Plane } from "../src/dicom/geometry";
import type { Measurement } from "../src/state/measurements";
import { createSaving } from "../src/state/saving";
import { seenOn } from "../src/state/space";

const SQUARE = { x: 0.5, y: 0.5, unit: "mm", atDetector: false } as const;
const IMAGE = { seriesInstanceUid: "1.2", sopInstanceUid: "1.2.3", sopClassUid: "1.2.840", frame: 1, frameOfReferenceUid: null };

function line(id: string, x = 10): Measurement {
  return { id, kind: "length", image: IMAGE, points: [{ x: 0, y: 0 }, { x, y: 0 }], spacing: SQUARE, statistics: null, label: "" };
}

/** A store in memory that answers as the server does, and what is drawn. */
function pair(start: Draft | null = null) {
  let current = start;
  let list: readonly Measurement[] = [];
  let writes = 0;
  let isAway = false;
  const keys: string[] = [];
  let meanwhile = () => {};
  const store = {
    async read() {
      return current;
    },
    async write(version: number | null, measurements: readonly DraftMeasurement[]) {
      if (isAway) throw new Error("away");
      writes += 1;
      if ((current?.version ?? null) !== version) return { current };
      current = { version: (version ?? 0) + 1, measurements };
      return { version: current.version };
    },
    async report(key: string) {
      keys.push(key);
      meanwhile();
      if (isAway) throw new Error("away");
      if (new Set(keys).size === keys.length || current!.measurements.length > 0) current = { version: current!.version + 1, measurements: [] };
      return current!.version;
    },
  };
  const kept = {
    list: () => list,
    receive: (more: readonly Measurement[]) => void (list = [...list, ...more]),
    forget: (gone: readonly Measurement[]) => void (list = list.filter((one) => !gone.includes(one))),
    spacingOf: async () => SQUARE,
  };
  const saving = createSaving(store, kept, () => `key ${keys.length}`);
  return {
    saving,
    ids: () => list.map(({ id }) => id),
    draw: (one: Measurement) => void (list = [...list, one]),
    drop: (id: string) => void (list = list.filter((one) => one.id !== id)),
    current: () => current,
    writes: () => writes,
    elsewhere: (measurements: readonly DraftMeasurement[]) => void (current = { version: (current?.version ?? 0) + 1, measurements }),
    keys,
    whileReporting: (what: () => void) => void (meanwhile = what),
    away: (value: boolean) => void (isAway = value),
  };
}

test("what is drawn is written, and read again", async () => {
  const one = pair();
  await one.saving.open();
  one.draw(line("a"));
  one.saving.changed();
  await one.saving.save();
  assert.equal(one.saving.state(), "saved");
  assert.deepEqual(one.current()?.measurements[0]?.points, [[0.5, 0.5], [10.5, 0.5]]);
  assert.deepEqual(one.current()?.measurements[0]?.values, [{ name: "length", value: 5, unit: "mm" }]);
  const two = pair(one.current());
  await two.saving.open();
  assert.deepEqual(two.ids(), ["a"]);
  assert.equal(two.writes(), 0);
});

test("two devices keep what both have made, and what one removed stays removed", async () => {
  const one = pair();
  await one.saving.open();
  one.draw(line("a"));
  one.draw(line("b"));
  await one.saving.save();
  one.elsewhere([toDraft(line("a")), toDraft(line("b")), toDraft(line("c"))]);
  one.drop("b");
  one.draw(line("d"));
  await one.saving.save();
  assert.deepEqual(one.ids().sort(), ["a", "c", "d"]);
  assert.deepEqual(one.current()?.measurements.map(({ id }) => id).sort(), ["a", "c", "d"]);
  one.saving.dispose();
});

test("what is not drawn here is given back as it came", async () => {
  const words = { ...toDraft(line("s")), kind: "text", points: [[1, 1]] } as DraftMeasurement;
  const one = pair({ version: 4, measurements: [words] });
  await one.saving.open();
  assert.deepEqual(one.ids(), []);
  one.draw(line("a"));
  await one.saving.save();
  assert.deepEqual(one.current()?.measurements[0], words);
  assert.equal(one.current()?.version, 5);
});

test("without an answer it waits, and a report empties the draft", async () => {
  const one = pair();
  await one.saving.open();
  one.draw(line("a"));
  one.away(true);
  await one.saving.save();
  assert.equal(one.saving.state(), "waiting");
  one.away(false);
  await one.saving.finish();
  assert.deepEqual([one.ids(), one.current()?.measurements, one.saving.state()], [[], [], "saved"]);
  one.draw(line("b"));
  await one.saving.save();
  assert.equal(one.current()?.measurements[0]?.id, "b");
  one.saving.dispose();
});

test("nothing is lost where a report cannot be made, and asked again it is the same one", async () => {
  const one = pair();
  await one.saving.open();
  one.draw(line("a"));
  one.away(true);
  await assert.rejects(one.saving.finish());
  assert.deepEqual([one.ids(), one.keys.length], [["a"], 0], "what is not saved is not reported");
  assert.equal(one.saving.problem()?.message, "away");
  one.away(false);
  await one.saving.save();
  assert.equal(one.saving.problem(), null);
  one.away(true);
  await assert.rejects(one.saving.finish());
  assert.deepEqual(one.ids(), ["a"]);
  one.away(false);
  await one.saving.finish();
  assert.deepEqual([one.ids(), new Set(one.keys).size], [[], 1]);
  one.saving.dispose();
});

test("what is drawn while a report is made stays", async () => {
  const one = pair();
  await one.saving.open();
  one.draw(line("a"));
  one.whileReporting(() => one.draw(line("b")));
  await one.saving.finish();
  assert.deepEqual(one.ids(), ["b"]);
  await one.saving.save();
  assert.deepEqual(one.current()?.measurements.map(({ id }) => id), ["b"]);
  one.saving.dispose();
});

test("points begin at the corner of the first pixel, ellipses with their longer axis", () => {
  const oval = { ...line("o"), kind: "ellipse", points: [{ x: 0, y: 4 }, { x: 2, y: 4 }, { x: 1, y: 0 }, { x: 1, y: 8 }] } as const;
  assert.deepEqual(toDraft(oval).points, [[1.5, 0.5], [1.5, 8.5], [0.5, 4.5], [2.5, 4.5]]);
  assert.equal(toDraft({ ...line("c"), kind: "circle" }).kind, "circle");
  const flat = { ...line("c"), kind: "circle", points: [{ x: 5, y: 5 }, { x: 9, y: 5 }], spacing: { ...SQUARE, y: 2 } } as const;
  assert.deepEqual(toDraft(flat).points, [[1.5, 5.5], [9.5, 5.5], [5.5, 4.5], [5.5, 6.5]]);
});

test("the form of the server and back", () => {
  const statistics = { count: 100, mean: 40, sd: 2.5, min: 30, max: 50, unit: "HU" };
  const box = { ...line("r"), kind: "rectangle", statistics, label: "left", points: [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 10 }, { x: 0, y: 10 }] } as const;
  assert.deepEqual(fromDraft(toDraft(box), SQUARE), box);
  const oval = { ...line("o"), kind: "circle", spacing: { ...SQUARE, y: 1 } } as const;
  assert.equal(toDraft(oval).kind, "ellipse");
  const long = { ...line("f"), kind: "freehand", points: Array.from({ length: 9000 }, (_, n) => ({ x: n, y: n % 7 })) } as const;
  assert.ok(toDraft(long).points!.length <= 4096);
  const { values } = toDraft({ ...box, statistics: { ...statistics, unit: "an odd unit" } });
  assert.equal(values?.at(-1)?.unit, "1");
});

/** An oblique cut: 0.5 mm along its rows, 2 mm down its columns. */
const CUT: Plane = { origin: [-30, 4, 10], row: [1, 0, 0], column: [0, 0.6, 0.8], normal: [0, -0.8, 0.6], spacing: [0.5, 2], columns: 90, rows: 40 };
const ON_CUT = { ...line("a"), plane: CUT, image: { ...IMAGE, frameOfReferenceUid: "1.9" }, spacing: { x: 0.5, y: 2, unit: "mm", atDetector: false } } as const;

test("on a cut, points are in space, and come back on a plane of millimetres", () => {
  const drawn: Measurement = { ...ON_CUT, points: [{ x: 10, y: 5 }, { x: 70, y: 25 }] };
  const kept = toDraft(drawn);
  assert.deepEqual([kept.points, kept.points3d], [undefined, [[-25, 10, 18], [5, 34, 50]]]);
  assert.deepEqual(kept.values, [{ name: "length", value: 50, unit: "mm" }]);
  const back = fromDraft(kept, SQUARE)!;
  assert.deepEqual(toDraft(back), kept, "saved again it is the same");
  assert.equal(back.plane?.spacing.join(), "1,1");
  const round = toDraft({ ...drawn, kind: "circle" });
  assert.deepEqual([round.kind, round.points3d?.length], ["ellipse", 4]);
  assert.equal(fromDraft({ ...kept, kind: "cobb", points3d: [[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]] }, SQUARE), null);
});

test("it is seen on every cut that it lies in, and on no image of which the place is not known", () => {
  const one = fromDraft(toDraft({ ...ON_CUT, points: [{ x: 10, y: 5 }, { x: 70, y: 5 }] }), SQUARE)!;
  const where = (plane: Plane, uid = "1.9") => ({ image: { ...IMAGE, sopInstanceUid: "9", frameOfReferenceUid: uid }, slice: { plane, halfMm: 1 } });
  const here = seenOn(one, where(CUT))!;
  assert.ok(here.points.every(({ x, y }, at) => Math.abs(x - [10, 70][at]!) < 1e-6 && Math.abs(y - 5) < 1e-6));
  assert.deepEqual(here.spacing, ON_CUT.spacing);
  const moved = (mm: number) => ({ ...CUT, origin: pointAt({ ...CUT, column: CUT.normal, spacing: [1, 1] }, 0, mm) });
  assert.ok(seenOn(one, where(moved(0.9))));
  assert.equal(seenOn(one, where(moved(1.1))), undefined);
  assert.equal(seenOn(one, where(CUT, "1.8")), undefined, "of another Frame of Reference");
  assert.equal(seenOn(one, { image: one.image }), undefined);
  // Straight across, through the line: all of it lies there.
  const across: Plane = { ...CUT, origin: [-30, 10, 18], column: CUT.normal, normal: [0, -0.6, -0.8] };
  assert.ok(seenOn(one, where(across)));
  // A circle does not, though its two points do.
  assert.equal(seenOn({ ...one, kind: "circle" }, where(across)), undefined);
  assert.equal(seenOn(line("b"), where(CUT)), undefined);
});

test("it is seen on the image that it lies in, and one of an image on cuts of the same volume", () => {
  const plane: Plane = { ...CUT, spacing: [1, 1], columns: 45, rows: 80 };
  const image = { ...IMAGE, sopInstanceUid: "7", frameOfReferenceUid: "1.9" };
  const drawn: Measurement = { ...ON_CUT, points: [{ x: 10, y: 5 }, { x: 70, y: 25 }] };
  const away = (mm: number) => ({ ...plane, origin: pointAt({ ...plane, column: plane.normal }, 0, mm) });
  const seen = seenOn(drawn, { image, lying: { plane: away(0.9), halfMm: 1 } })!;
  assert.ok(seen.points.every(({ x, y }, at) => Math.abs(x - [5, 35][at]!) < 1e-6 && Math.abs(y - [10, 50][at]!) < 1e-6));
  assert.equal(seenOn(drawn, { image, lying: { plane: away(1.1), halfMm: 1 } }), undefined);
  assert.equal(seenOn(drawn, { image: { ...image, frameOfReferenceUid: "1.8" }, lying: { plane, halfMm: 1 } }), undefined);
  // The other way round: in pixels of an image, on a cut of its volume.
  const onImage: Measurement = { ...line("i"), image, points: [{ x: 5, y: 10 }, { x: 35, y: 50 }] };
  const cut = { image: { ...image, sopInstanceUid: "9" }, slice: { plane: CUT, halfMm: 1 } };
  const planeOf = ({ sopInstanceUid }: { readonly sopInstanceUid: string }) => (sopInstanceUid === "7" ? plane : undefined);
  const onCut = seenOn(onImage, { ...cut, planeOf })!;
  assert.ok(onCut.points.every(({ x, y }, at) => Math.abs(x - [10, 70][at]!) < 1e-6 && Math.abs(y - [5, 25][at]!) < 1e-6));
  assert.deepEqual(onCut.plane, CUT);
  assert.equal(seenOn({ ...onImage, image: { ...image, sopInstanceUid: "8" } }, { ...cut, planeOf }), undefined);
  assert.deepEqual(seenOn(onImage, { image }), onImage);
});

test("units are codes of UCUM, as the server takes them", () => {
  for (const unit of ["mm", "cm²", "px", "px²", "°", "HU", "", "SUVbw", "SUV bw"]) {
    assert.ok(/^[!-\[\]-~]{1,16}$/.test(ucum(unit)), unit);
    if (unit !== "SUV bw") assert.equal(shownUnit(ucum(unit)), unit);
  }
  assert.equal(ucum("SUVbw"), "g/ml{SUVbw}");
  assert.equal(shownUnit("{SUVbw}g/ml"), "SUVbw");
});

test("colour keeps its luminance and channels", () => {
  const spread = (mean: number) => ({ mean, sd: 1.5, min: mean - 3, max: mean + 3 });
  const statistics = { count: 100, ...spread(50), unit: "", channels: [spread(10), spread(20), spread(30)] };
  const box = { ...line("r"), kind: "rectangle", statistics, points: [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 10 }, { x: 0, y: 10 }] } as const;
  const kept = toDraft(box);
  assert.ok(kept.values!.every(({ code }) => !code || code.value.length <= 16));
  assert.deepEqual(fromDraft(kept, SQUARE), box);
  const probe = { ...line("p"), kind: "probe", points: [{ x: 0, y: 0 }], statistics: { ...statistics, count: 1 } } as const;
  assert.deepEqual(fromDraft(toDraft(probe), SQUARE)!.statistics!.channels!.map(({ mean }) => mean), [10, 20, 30]);
});
