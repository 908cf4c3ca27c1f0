import assert from "node:assert/strict";
import { test } from "node:test";
import type { Plane } from "../src/dicom/geometry";
import { createKeyHand } from "../src/tools/keyhand";
import { createMeasuring, type Sight } from "../src/tools/measuring";
import type { DragTool } from "../src/tools/mouse";

const SQUARE = { x: 0.5, y: 0.5, unit: "mm", atDetector: false } as const;

function sight(frame = 1, plane?: Plane): Sight {
  return {
    image: { seriesInstanceUid: "1", sopInstanceUid: "1.1", sopClassUid: "1.2", frame, frameOfReferenceUid: "1.9" },
    slice: plane && { plane, halfMm: 0.5 },
    spacingFor: () => SQUARE,
    columns: 100,
    rows: 60,
    toImage: ({ x, y }) => ({ x: x / 3, y: y / 3 }),
    toScreen: ({ x, y }) => ({ x: x * 3, y: y * 3 }),
    isComing: false,
    pixels: () => undefined,
  };
}

function hands(tool: DragTool, seen: Sight = sight()) {
  const measuring = createMeasuring();
  const hand = createKeyHand(measuring);
  let inHand = tool;
  let now = seen;
  const pointed: number[][] = [];
  return {
    measuring,
    hand,
    take: (next: DragTool) => void (inHand = next),
    look: (next: Sight) => void (now = next),
    press: (key: string, shift = false) =>
      hand.press({ key, shift, tool: inHand, sight: now, middle: { x: 49.5, y: 29.5 }, point: ({ x, y }) => pointed.push([x, y]) }),
    pointed,
    points: () => measuring.list().map(({ points }) => points.map(({ x, y }) => [x, y])),
  };
}

test("a line: Enter shows the cross, arrows move it, Enter sets", () => {
  const one = hands("length");
  assert.equal(one.press("ArrowLeft"), false, "without the cross arrows are for the images");
  assert.ok(one.press("Enter"));
  assert.deepEqual(one.hand.cross()?.at, { x: 50, y: 30 });
  one.press("ArrowLeft", true);
  one.press("ArrowUp");
  one.press("Enter");
  assert.deepEqual(one.points(), []);
  one.press("ArrowRight", true);
  one.press("ArrowRight", true);
  one.press("ArrowDown");
  assert.deepEqual(one.measuring.underway()?.points, [{ x: 40, y: 29 }, { x: 60, y: 30 }]);
  one.press("Enter");
  assert.deepEqual(one.points(), [[[40, 29], [60, 30]]]);
  // The next one begins where the cross is.
  one.press("Enter");
  one.press("ArrowRight");
  one.press("Enter");
  assert.deepEqual(one.points()[1], [[60, 30], [61, 30]]);
});

test("it stays inside of the image", () => {
  const one = hands("probe");
  one.press("Enter");
  for (let n = 0; n < 9; n += 1) one.press("ArrowDown", true);
  assert.deepEqual(one.hand.cross()?.at, { x: 50, y: 59.5 });
  one.press("Enter");
  assert.deepEqual(one.points(), [[[50, 59.5]]]);
});

test("shapes of every number of points", () => {
  const square = [["Enter", false], ["ArrowRight", true], ["Enter", false], ["ArrowDown", true], ["Enter", false], ["ArrowLeft", true], ["Enter", false]] as const;
  for (const [tool, count] of [["spline", 4], ["freehand", 4], ["cobb", 4]] as const) {
    const one = hands(tool);
    one.press("Enter");
    for (const [key, shift] of square) one.press(key, shift);
    if (tool !== "cobb") one.press("Enter");
    assert.deepEqual(one.points(), [[[50, 30], [60, 30], [60, 40], [50, 40]]], tool);
    assert.equal(one.points()[0]!.length, count);
  }
  const few = hands("spline");
  few.press("Enter");
  few.press("Enter");
  few.press("Enter");
  assert.deepEqual(few.points(), [], "two points enclose nothing");
});

test("Escape abandons the shape, then puts the cross away", () => {
  const one = hands("angle");
  one.press("Enter");
  one.press("Enter");
  assert.ok(one.press("Escape"));
  assert.equal(one.measuring.isDrawing(), false);
  assert.ok(one.hand.cross());
  assert.ok(one.press("Escape"));
  assert.equal(one.hand.cross(), null);
  assert.equal(one.press("Escape"), false, "the next one is for the page");
});

test("with another tool, Enter takes the points of what is selected", () => {
  const one = hands("length");
  one.press("Enter");
  one.press("Enter");
  one.press("ArrowRight", true);
  one.press("Enter");
  one.take("window");
  one.press("Enter");
  assert.deepEqual(one.hand.cross()?.held, 0, "the cross of the other tool is gone");
  one.press("ArrowLeft", true);
  one.press("Enter");
  assert.deepEqual([one.points(), one.hand.cross()?.at], [[[[40, 30], [60, 30]]], { x: 60, y: 30 }]);
  one.press("ArrowUp");
  one.press("Escape");
  assert.deepEqual([one.points(), one.hand.cross()], [[[[40, 30], [60, 30]]], null], "what was let go stays");
  one.measuring.history.undo();
  assert.deepEqual(one.points(), [[[50, 30], [60, 30]]], "each is one step back");
  one.measuring.select(null);
  assert.equal(one.press("Enter"), false);
});

test("on another image the cross is gone, and what was begun with it", () => {
  const one = hands("length");
  one.press("Enter");
  one.press("Enter");
  one.look(sight(2));
  assert.equal(one.press("ArrowRight"), false);
  assert.equal(one.hand.cross(), null);
  one.press("Enter");
  one.press("Enter");
  assert.deepEqual(one.measuring.underway()?.image.frame, 2);
});

test("what is drawn on a cut lies on its plane", () => {
  const plane: Plane = { origin: [0, 0, 5], row: [1, 0, 0], column: [0, 1, 0], normal: [0, 0, 1], spacing: [0.5, 0.5], columns: 100, rows: 60 };
  const one = hands("length", sight(1, plane));
  one.press("Enter");
  one.press("Enter");
  // Another cut of the same volume, through the first point: the line is not carried over to it.
  one.look(sight(1, { ...plane, column: [0, 0, 1], normal: [0, -1, 0], origin: [0, 15, 0] }));
  one.press("Enter");
  assert.equal(one.measuring.list().length, 0);
  one.look(sight(1, plane));
  one.press("Enter");
  one.press("Enter");
  one.press("ArrowRight", true);
  one.press("Enter");
  assert.equal(one.measuring.list()[0]?.plane, plane);
});

test("the 3D cursor is set where the cross stands, and nothing is measured", () => {
  const one = hands("cursor");
  assert.ok(one.press("Enter"));
  one.press("ArrowLeft", true);
  one.press("Enter");
  one.press("ArrowDown");
  one.press("Enter");
  assert.deepEqual([one.pointed, one.points()], [[[40, 30], [40, 31]], []]);
  one.take("window");
  assert.equal(one.press("ArrowLeft"), false, "the cross went with the cursor");
  assert.equal(one.hand.cross(), null);
});
