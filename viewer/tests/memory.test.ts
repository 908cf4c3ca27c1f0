import assert from "node:assert/strict";
import { test } from "node:test";
import { whyNotGiven } from "../src/dicom/allocation";
import { MEBIBYTE, isOutOfMemory, memoryBudget } from "../src/state/memory";

const budget = (deviceMemory: number | undefined, isHandheld: boolean, chosen: string | null = null) =>
  memoryBudget({ deviceMemory, isHandheld, chosen }) / MEBIBYTE;

test("a quarter of the device's memory, of which a phone is thought to have less", () => {
  assert.deepEqual([budget(8, false), budget(0.5, true), budget(undefined, false), budget(undefined, true)], [2048, 256, 1024, 512]);
});

test("what somebody has chosen holds, within what a page can do", () => {
  assert.deepEqual([budget(8, false, "96"), budget(8, false, "0.1"), budget(8, false, "1e9")], [96, 1, 8192]);
  for (const nonsense of ["", "much", "-5", "0", "NaN"]) assert.equal(budget(4, false, nonsense), 1024);
});

test("browsers say in several ways that there is no memory", () => {
  const said = ["Array buffer allocation failed", "Invalid typed array length: 99", "Out of memory", "Aborted(OOM)", "CACHE_SIZE_EXCEEDED"];
  for (const message of said) assert.ok(isOutOfMemory(new RangeError(message)), message);
  assert.ok(!isOutOfMemory(new Error("the server answered 404")));
  assert.ok(!isOutOfMemory("out of memory"));
});

test("a failure without a reason is one of memory where so much of it is refused, and else what it was", () => {
  const failure = new TypeError("Failed to fetch");
  assert.ok(isOutOfMemory(whyNotGiven(2 ** 52, failure)));
  for (const bytes of [1000, 0, NaN]) assert.equal(whyNotGiven(bytes, failure), failure);
});
