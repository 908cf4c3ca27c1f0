import assert from "node:assert/strict";
import { test } from "node:test";
import { takeInSlices, type Taken } from "../src/state/slices";

function* steps(count: number): Generator<number | null> {
  for (let n = 0; n < count; n += 1) yield n % 2 ? n : null;
}

function taken(count: number, most: number): Promise<readonly Taken<number>[]> {
  let time = 0;
  const all: Taken<number>[] = [];
  return new Promise((resolve) => {
    takeInSlices(steps(count), most, (one) => {
      all.push(one);
      if (one.isDone) setTimeout(() => resolve(all), 20);
    }, () => (time += 5));
  });
}

test("short work is told once, long work after each slice", async () => {
  assert.deepEqual(await taken(6, 100), [{ values: [1, 3, 5], isDone: true, isCut: false }]);
  const all = await taken(1000, 1000);
  assert.ok(all.length > 3);
  assert.equal(all.at(-1)!.values.length, 500);
  all.slice(1).forEach((one, index) => assert.ok(one.values.length >= all[index]!.values.length));
});

test("no more than the most is taken, and that there is more is said", async () => {
  assert.deepEqual((await taken(100, 3)).at(-1), { values: [1, 3, 5], isDone: true, isCut: true });
  assert.equal((await taken(6, 3)).at(-1)!.isCut, false);
});

test("what is stopped tells nothing more", async () => {
  let told = 0;
  let time = 0;
  const stop = takeInSlices(steps(10_000), 10_000, () => (told += 1), () => (time += 5));
  stop();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(told, 1);
});
