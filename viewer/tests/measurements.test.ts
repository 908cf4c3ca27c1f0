import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  change,
  find,
  isSameImage,
  remove,
  type ImageReference,
  type Measurement,
  type Measurements,
} from "../src/state/measurements";
import { follow, press, release, seen, type Drawing } from "../src/tools/drawing";
import { MOUSE_REACH, createMeasuring, hitAt, type Sight } from "../src/tools/measuring";

const IMAGE: ImageReference = {
  seriesInstanceUid: "1.2.3",
  sopInstanceUid: "1.2.3.4",
  sopClassUid: "1.2.840.10008.5.1.4.1.1.2",
  frame: 1,
  frameOfReferenceUid: null,
};

function line(id: string, y = 10): Measurement {
  return {
    id,
    kind: "length",
    image: IMAGE,
    points: [{ x: 10, y }, { x: 50, y }],
    spacing: { x: 1, y: 1, unit: "mm", atDetector: false },
    statistics: null,
    label: "",
  };
}

const ids = (of: Measurements) => of.map(({ id }) => id);

test("every change gives another value, and what was before is as it was", () => {
  const two = add(add([], line("a")), line("b"));
  const named = change(two, "a", { label: "liver" });
  const gone = remove(named, "b");
  assert.deepEqual([ids(gone), find(gone, "a")?.label], [["a"], "liver"]);
  assert.deepEqual([ids(two), find(two, "a")?.label], [["a", "b"], ""]);
});

test("what is not there changes nothing", () => {
  const one = add([], line("a"));
  assert.equal(remove(one, "b"), one);
  assert.equal(change(one, "b", { label: "x" }), one);
});

test("frames of one object are different images", () => {
  assert.ok(isSameImage(IMAGE, { ...IMAGE, seriesInstanceUid: "" }));
  assert.ok(!isSameImage(IMAGE, { ...IMAGE, frame: 2 }));
});

test("a line is drawn by a drag, or by two presses", () => {
  const [a, b] = [{ x: 1, y: 1 }, { x: 9, y: 9 }];
  const begun = press(undefined, "length", a);
  assert.equal(release(follow(begun, b, true, true), b, true), "done");
  const waiting = release(begun, a, false) as Drawing;
  assert.deepEqual(seen(follow(waiting, b, false, true)), [a, b]);
  assert.equal(release(press(waiting, "length", b), b, true), "done");
  assert.deepEqual(release(press(waiting, "length", a), a, false), waiting);
});

test("the second line of a Cobb angle has a beginning of its own", () => {
  const [a, b, c, d] = [{ x: 1, y: 1 }, { x: 9, y: 1 }, { x: 1, y: 9 }, { x: 9, y: 8 }];
  const first = release(press(undefined, "cobb", a), b, true) as Drawing;
  assert.deepEqual(seen(follow(first, c, false, true)), [a, b]);
  const second = press(first, "cobb", c);
  assert.deepEqual(seen(follow(second, d, true, true)), [a, b, c, d]);
  assert.equal(release(second, d, true), "done");
});

test("a free-hand line of fewer than three points is nothing", () => {
  const begun = press(undefined, "freehand", { x: 1, y: 1 });
  assert.equal(release(begun, { x: 1, y: 1 }, false), "nothing");
  const two = follow(begun, { x: 5, y: 1 }, true, true);
  assert.equal(follow(two, { x: 5, y: 1.2 }, true, false).placed.length, 2);
  assert.equal(release(follow(two, { x: 5, y: 5 }, true, true), { x: 5, y: 5 }, false), "done");
});

/** An image of 100 by 100 that is seen twice as large. */
const SIGHT: Sight = {
  image: IMAGE,
  spacingFor: () => ({ x: 1, y: 1, unit: "mm", atDetector: false }),
  columns: 100,
  rows: 100,
  toImage: ({ x, y }) => ({ x: x / 2, y: y / 2 }),
  toScreen: ({ x, y }) => ({ x: x * 2, y: y * 2 }),
  isComing: false,
  pixels: () => ({ columns: 100, rows: 100, values: new Uint8Array(10_000).fill(3), slope: 1, intercept: 0, unit: "" }),
};

test("points are taken before lines, the selected before others", () => {
  const shapes = [line("a", 10), line("b", 12)];
  assert.deepEqual(hitAt(shapes, SIGHT, { x: 21, y: 20 }, MOUSE_REACH, null), { id: "a", handle: 0 });
  assert.deepEqual(hitAt(shapes, SIGHT, { x: 60, y: 22 }, MOUSE_REACH, "a"), { id: "a", handle: null });
  assert.deepEqual(hitAt(shapes, SIGHT, { x: 60, y: 22 }, MOUSE_REACH, "b"), { id: "b", handle: null });
  assert.equal(hitAt(shapes, SIGHT, { x: 60, y: 60 }, MOUSE_REACH, null), null);
});

test("a hand draws, moves an end, moves all, and takes it back", () => {
  const measuring = createMeasuring();
  const drag = (tool: "length" | "pan", ...way: readonly (readonly [number, number])[]) => {
    const [start, ...rest] = way.map(([x, y]) => ({ x, y }));
    if (!measuring.take(tool, SIGHT, start!, MOUSE_REACH)) return false;
    for (const at of rest) measuring.carry(SIGHT, at);
    measuring.letGo(SIGHT, rest.at(-1) ?? start!);
    return true;
  };
  const points = () => measuring.list()[0]?.points;
  assert.ok(drag("length", [20, 20], [50, 20], [100, 20]));
  assert.deepEqual(points(), [{ x: 10, y: 10 }, { x: 50, y: 10 }]);
  assert.equal(measuring.selected(), measuring.list()[0]?.id);
  assert.ok(drag("pan", [100, 20], [120, 40]));
  assert.deepEqual(points(), [{ x: 10, y: 10 }, { x: 60, y: 20 }]);
  assert.ok(drag("length", [70, 30], [80, 50]));
  assert.deepEqual(points(), [{ x: 15, y: 20 }, { x: 65, y: 30 }]);
  assert.equal(drag("pan", [180, 180], [190, 190]), false);
  assert.equal(measuring.selected(), null);
  measuring.history.undo();
  measuring.history.undo();
  assert.deepEqual(points(), [{ x: 10, y: 10 }, { x: 50, y: 10 }]);
  measuring.history.redo();
  assert.deepEqual(points(), [{ x: 10, y: 10 }, { x: 60, y: 20 }]);
  assert.ok(drag("length", [150, 150], [500, 150]));
  assert.equal(measuring.list()[1]?.points[1]?.x, 99.5, "ends lie in the image");
});

test("what is held stays on its image when another one comes", () => {
  const measuring = createMeasuring();
  const other: Sight = { ...SIGHT, image: { ...IMAGE, frame: 2 } };
  measuring.take("length", SIGHT, { x: 20, y: 20 }, MOUSE_REACH);
  measuring.carry(SIGHT, { x: 60, y: 20 });
  measuring.carry(other, { x: 100, y: 20 });
  assert.deepEqual(measuring.visible()[0]?.points[1], { x: 30, y: 10 });
  measuring.letGo(other, { x: 100, y: 20 });
  assert.deepEqual(measuring.visible(), []);
});

test("a step back puts away what is under way, then what is selected", () => {
  const measuring = createMeasuring();
  measuring.take("circle", SIGHT, { x: 20, y: 20 }, MOUSE_REACH);
  measuring.carry(SIGHT, { x: 40, y: 20 });
  assert.deepEqual(measuring.visible()[0]?.statistics?.mean, 3);
  assert.ok(measuring.escape());
  assert.deepEqual(measuring.visible(), []);
  measuring.letGo(SIGHT, { x: 40, y: 20 });
  assert.deepEqual(measuring.list(), []);
  assert.ok(!measuring.escape());
});

test("a shape is never measured on another image than its own", () => {
  const other: Sight = { ...SIGHT, image: { ...IMAGE, frame: IMAGE.frame + 1 }, pixels: () => ({ ...SIGHT.pixels()!, values: new Uint8Array(10_000).fill(99) }) };
  const measuring = createMeasuring();
  measuring.take("rectangle", SIGHT, { x: 20, y: 20 }, MOUSE_REACH);
  measuring.carry(SIGHT, { x: 60, y: 60 });
  measuring.letGo(SIGHT, { x: 60, y: 60 });
  assert.ok(measuring.take("pan", SIGHT, { x: 20, y: 40 }, MOUSE_REACH));
  measuring.carry(SIGHT, { x: 24, y: 40 });
  measuring.carry(other, { x: 30, y: 40 }); // the wheel has turned meanwhile
  measuring.letGo(other, { x: 30, y: 40 });
  assert.deepEqual(measuring.list().map(({ statistics }) => statistics?.mean), [3]);
  assert.deepEqual(measuring.visible(), measuring.list());
  measuring.take("length", SIGHT, { x: 120, y: 120 }, MOUSE_REACH);
  measuring.letGo(other, { x: 150, y: 120 });
  assert.equal(measuring.list().length, 1);
});

test("a shape that is moved stays in its image", () => {
  const measuring = createMeasuring();
  measuring.take("rectangle", SIGHT, { x: 20, y: 20 }, MOUSE_REACH);
  measuring.carry(SIGHT, { x: 60, y: 60 });
  measuring.letGo(SIGHT, { x: 60, y: 60 });
  measuring.take("pan", SIGHT, { x: 20, y: 40 }, MOUSE_REACH);
  measuring.carry(SIGHT, { x: -500, y: 40 });
  measuring.letGo(SIGHT, { x: -500, y: 40 });
  assert.equal(Math.min(...measuring.list()[0]!.points.map(({ x }) => x)), -0.5);
});

test("what is drawn before the values have come is counted when they have, and is one step all the same", () => {
  const measuring = createMeasuring();
  const coming: Sight = { ...SIGHT, isComing: true, pixels: () => undefined };
  measuring.take("ellipse", coming, { x: 20, y: 20 }, MOUSE_REACH);
  measuring.carry(coming, { x: 80, y: 80 });
  measuring.letGo(coming, { x: 80, y: 80 });
  const means = () => measuring.list().map(({ statistics }) => statistics?.mean);
  assert.deepEqual(means(), [undefined]);
  measuring.recount(coming);
  measuring.recount({ ...SIGHT, image: { ...IMAGE, sopInstanceUid: "2.25.9" } });
  assert.deepEqual(means(), [undefined]);
  measuring.recount(SIGHT);
  assert.deepEqual(means(), [3]);
  const counted = measuring.list();
  measuring.recount(SIGHT);
  assert.equal(measuring.list(), counted);
  measuring.history.undo();
  assert.deepEqual(means(), []);
});

test("what comes from another device, or is counted late, is kept when steps before it are taken back", () => {
  const measuring = createMeasuring();
  const coming: Sight = { ...SIGHT, isComing: true, pixels: () => undefined };
  measuring.take("ellipse", coming, { x: 20, y: 20 }, MOUSE_REACH);
  measuring.letGo(coming, { x: 80, y: 80 });
  measuring.take("length", SIGHT, { x: 120, y: 120 }, MOUSE_REACH);
  measuring.letGo(SIGHT, { x: 150, y: 120 });
  measuring.recount(SIGHT);
  measuring.receive([line("elsewhere")]);
  measuring.history.undo();
  assert.deepEqual(measuring.list().map(({ kind, statistics }) => [kind, statistics?.mean]), [["ellipse", 3], ["length", undefined]]);
  measuring.history.undo();
  assert.deepEqual(ids(measuring.list()), ["elsewhere"]);
  measuring.history.redo();
  measuring.history.redo();
  assert.equal(measuring.list().length, 3);
});

test("what became a report is no step any more", () => {
  const measuring = createMeasuring();
  measuring.take("length", SIGHT, { x: 20, y: 20 }, MOUSE_REACH);
  measuring.letGo(SIGHT, { x: 50, y: 20 });
  measuring.forget(measuring.list());
  assert.deepEqual([measuring.list(), measuring.history.canUndo()], [[], false]);
});
