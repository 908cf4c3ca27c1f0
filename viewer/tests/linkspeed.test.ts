import assert from "node:assert/strict";
import { test } from "node:test";
import { createLinkSpeed } from "../src/state/linkspeed";

test("nothing is known at first, but what the browser says", () => {
  assert.equal(createLinkSpeed().bytesPerSecond(), undefined);
  assert.equal(createLinkSpeed().isSlow(), false);
  assert.equal(createLinkSpeed(true).isSlow(), true);
  assert.equal(createLinkSpeed().expected(), undefined);
  assert.equal(createLinkSpeed(true).expected(), 500_000);
});

test("frames that come side by side count together", () => {
  const speed = createLinkSpeed(true);
  for (let n = 0; n < 5; n += 1) speed.note(1_000_000, 0, 100);
  assert.equal(speed.bytesPerSecond(), 50_000_000);
  assert.equal(speed.expected(), 50_000_000);
  assert.equal(speed.isSlow(), false);
});

test("the last frames count, and empty answers do not", () => {
  const speed = createLinkSpeed();
  for (let n = 0; n < 20; n += 1) speed.note(500_000, n * 10, n * 10 + 10);
  assert.equal(speed.isSlow(), false);
  for (let n = 0; n < 20; n += 1) speed.note(500_000, 1000 + n * 200, 1200 + n * 200);
  speed.note(0, 9000, 9001);
  assert.equal(speed.bytesPerSecond(), 2_500_000);
  assert.equal(speed.isSlow(), true);
});
