import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeptSeries } from "../src/state/keptseries";
import { coarseToFine, farness, nearestHere, nextWanted, windowAround } from "../src/state/order";

function order(length: number, at: number, direction: 1 | -1, most = length): number[] {
  const found: number[] = [];
  for (;;) {
    const next = nextWanted(length, at, direction, most, (index) => !found.includes(index));
    if (next === undefined) return found;
    found.push(next);
  }
}

test("what lies ahead is wanted more than what lies behind", () => {
  assert.deepEqual(order(10, 4, 1), [4, 5, 6, 7, 3, 8, 9, 2, 1, 0]);
  assert.deepEqual(order(10, 4, -1), [4, 3, 2, 1, 5, 0, 6, 7, 8, 9]);
  assert.deepEqual(order(3, 0, -1), [0, 1, 2]);
  assert.ok(farness(6, 4, 1) < farness(2, 4, 1));
});

test("every image once, and no more than fit", () => {
  for (const at of [0, 3, 7]) assert.deepEqual(order(8, at, 1).sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(order(100, 50, 1, 5), [50, 51, 52, 53, 49]);
  assert.deepEqual(order(0, 0, 1), []);
});

test("the window holds what is wanted most", () => {
  for (const [at, direction, most] of [[50, 1, 8], [50, -1, 8], [0, 1, 8], [99, 1, 8], [99, -1, 3], [1, -1, 90]] as const) {
    const [from, to] = windowAround(100, at, direction, most);
    assert.equal(to - from, most);
    assert.ok(from <= at && at < to && from >= 0 && to <= 100);
    for (const index of order(100, at, direction, most)) assert.ok(from <= index && index < to, `${index} of ${from} to ${to}`);
  }
  assert.deepEqual(windowAround(4, 2, 1, 9), [0, 4]);
});

test("a stack is kept in one state of its series", () => {
  let text: string | null = null;
  const shelf = { read: () => text, write: (next: string) => (text = next) };
  const kept = createKeptSeries(shelf);
  assert.equal(kept.isKept("a", "1"), false);
  kept.note("a", "1");
  assert.equal(createKeptSeries(shelf).isKept("a", "1"), true);
  assert.equal(kept.isKept("a", "2"), false);
  assert.equal(kept.isKept("a", undefined), false);
  kept.note("a", "2");
  assert.equal(kept.isKept("a", "1"), false);
  for (let n = 0; n < 300; n += 1) kept.note(`s${n}`, "1");
  assert.equal(kept.isKept("a", "2"), false);
  assert.equal(kept.isKept("s299", "1"), true);
});

test("what is not understood is as nothing", () => {
  for (const text of ["{", "7", '[["a"]]', "[null]", '[["a",1]]']) {
    assert.equal(createKeptSeries({ read: () => text, write() {} }).isKept("a", "1"), false);
  }
});

test("a volume comes in passes that halve its gaps, each image once", () => {
  assert.deepEqual(coarseToFine(12, 6, 4), [[6, 2, 10], [4, 8, 0], [5, 7, 3, 9, 1, 11]]);
  for (const [length, at, widest] of [[1, 0, 16], [5, 2, 16], [250, 125, 16], [33, 32, 8]] as const) {
    const all = coarseToFine(length, at, widest).flat();
    assert.equal(all[0], at);
    assert.deepEqual(all.slice().sort((a, b) => a - b), Array.from({ length }, (_, index) => index));
  }
  assert.equal(coarseToFine(250, 125, 16)[0]!.length, 15);
});

test("where an image has not come the nearest one stands, the earlier of two", () => {
  const here = [..."..x...x."].map((one) => one === "x");
  assert.deepEqual(nearestHere(here), [2, 2, 2, 2, 2, 6, 6, 6]);
  assert.deepEqual(nearestHere([false, false]), [undefined, undefined]);
});
