import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ONE_CELL,
  activate,
  activeSet,
  allCuts,
  broughtBack,
  fill,
  fusedCuts,
  inGrid,
  isCut,
  isFused,
  isSameLayout,
  laidInPlace,
  put,
  seenCells,
  step,
  takenOff,
  toggleAlone,
  toggleSolid,
  type Layout,
} from "../src/state/layout";

const sets = (layout: Layout) => layout.cells.map((cell) => cell?.set ?? null);

test("a larger grid is filled with what is not shown yet", () => {
  const one = put(ONE_CELL, 0, "b");
  const four = inGrid(one, 2, 2, ["a", "b", "c"]);
  assert.deepEqual(sets(four), ["b", "a", "c", null]);
  assert.equal(activeSet(four), "b");
});

test("a smaller grid keeps the active cell, and the larger one comes back with what it showed", () => {
  const four = activate(inGrid(put(ONE_CELL, 0, "a"), 2, 2, ["b", "c", "d"]), 3);
  const one = inGrid(four, 1, 1, []);
  assert.equal(activeSet(one), "d");
  const again = inGrid(one, 2, 2, []);
  assert.deepEqual(sets(again).sort(), ["a", "b", "c", "d"]);
  assert.equal(activeSet(again), "d");
});

test("a grid has one to four rows and columns", () => {
  const { rows, columns, cells } = inGrid(ONE_CELL, 9, 0, []);
  assert.deepEqual([rows, columns, cells.length], [4, 1, 4]);
});

test("what is put into a cell makes it the active one; beyond the grid nothing happens", () => {
  const two = inGrid(ONE_CELL, 1, 2, []);
  assert.deepEqual(put(two, 1, "x"), { ...two, cells: [null, { set: "x", cut: null }], active: 1 });
  assert.equal(put(two, 2, "x"), two);
  assert.equal(activate(two, -1), two);
});

test("steps go round", () => {
  const two = inGrid(ONE_CELL, 1, 2, []);
  assert.equal(step(two, -1).active, 1);
  assert.equal(step(step(two, 1), 1).active, 0);
});

test("one cell alone is seen, and all again", () => {
  const two = activate(inGrid(ONE_CELL, 1, 2, []), 1);
  assert.deepEqual(seenCells(toggleAlone(two)), [1]);
  assert.deepEqual(seenCells(toggleAlone(toggleAlone(two))), [0, 1]);
  assert.equal(toggleAlone(ONE_CELL), ONE_CELL);
});

test("what comes later fills empty cells, once, and takes no place", () => {
  const two = inGrid(put(ONE_CELL, 0, "a"), 1, 2, []);
  const filled = fill(two, "b");
  assert.deepEqual([sets(filled), filled.active], [["a", "b"], 0]);
  assert.equal(fill(filled, "c"), filled);
  assert.equal(fill(two, "a"), two);
});

test("three planes of a volume, and its images beside them", () => {
  const planes = allCuts("a");
  assert.deepEqual(planes.cells.map((cell) => cell?.cut), ["axial", "coronal", "sagittal", null]);
  assert.deepEqual([sets(planes), isCut(planes)], [["a", "a", "a", "a"], true]);
  const [put0, put1] = [put(planes, 0, "b"), put(put(put(planes, 0, "b"), 1, "b"), 2, "b")];
  assert.deepEqual([isCut(put0), isCut(put1)], [true, false]);
});

test("a volume as a solid: beside its cuts, else in the active cell, and back", () => {
  const seen = (layout: Layout) => layout.cells.map((cell) => cell?.cut);
  const beside = toggleSolid(allCuts("a"));
  assert.deepEqual(seen(beside), ["axial", "coronal", "sagittal", "solid"]);
  assert.deepEqual(toggleSolid(beside), allCuts("a"));
  const one = put(ONE_CELL, 0, "a");
  assert.deepEqual([seen(toggleSolid(one)), isCut(toggleSolid(one))], [["solid"], false]);
  assert.deepEqual(toggleSolid(toggleSolid(one)), one);
  assert.equal(toggleSolid(ONE_CELL), ONE_CELL);
});

test("a volume laid over images takes the place of those in hand, which come back", () => {
  const two = activate(inGrid(put(ONE_CELL, 0, "ct"), 1, 2, ["pet"]), 1);
  const laid = laidInPlace(two, "ct", "axial", "pet");
  assert.deepEqual(laid.cells[1], { set: "ct", cut: "axial", over: "pet", inPlaceOf: "pet" });
  assert.deepEqual(laid.cells[0], { set: "ct", cut: null });
  // It is no cut of three planes, which one key shows and another takes away.
  assert.deepEqual([isFused(laid), isCut(laid), isCut(fusedCuts("ct", "pet"))], [true, false, true]);
  assert.deepEqual(takenOff(laid), two);
  assert.deepEqual(sets(takenOff(laidInPlace(put(ONE_CELL, 0, "ct"), "ct", "axial", "pet"))), ["ct"]);
});

test("which cell is active is no difference between layouts", () => {
  const four = inGrid(put(ONE_CELL, 0, "a"), 2, 2, ["b", "c"]);
  assert.ok(isSameLayout(four, activate(four, 2)));
  assert.ok(!isSameLayout(four, put(four, 2, "b")));
  assert.ok(!isSameLayout(four, toggleAlone(four)));
});

test("brought back, a layout keeps the active cell in the same grid, and has what changed in sight", () => {
  const four = inGrid(put(ONE_CELL, 0, "a"), 2, 2, ["b", "c"]);
  const now = activate(put(four, 1, "c"), 3);
  assert.deepEqual(broughtBack(four, now, [1]), { ...four, active: 3 });
  assert.deepEqual(broughtBack(ONE_CELL, four, [0]), ONE_CELL);
  // The second cell fills the stage, and what was done in the first is taken back.
  const alone = toggleAlone(activate(four, 1));
  assert.equal(broughtBack(alone, alone, [0]).active, 0);
  assert.equal(broughtBack(alone, alone, []).active, 1);
});
