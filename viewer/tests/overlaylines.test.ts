import assert from "node:assert/strict";
import { test } from "node:test";
import { scaleBar } from "../src/ui/overlaylines";

test("a scale bar is the longest round length that fits, down to a tenth of a micrometre", () => {
  assert.deepEqual(scaleBar(1.5), { mm: 100, words: "10 cm" });
  assert.deepEqual(scaleBar(0.1), { mm: 200, words: "20 cm" });
  assert.deepEqual(scaleBar(30), { mm: 5, words: "5 mm" });
  assert.deepEqual(scaleBar(1000), { mm: 0.1, words: "0.1 mm" });
  // A slide at full magnification has 4,000 pixels to the millimetre.
  assert.deepEqual(scaleBar(4000), { mm: 0.02, words: "20 µm" });
  assert.equal(scaleBar(400_000)!.words, "0.2 µm");
  for (const pixelsPerMm of [0.3, 7, 90, 2500, 80_000, 1_600_000]) assert.ok(scaleBar(pixelsPerMm)!.mm * pixelsPerMm <= 160);
});

test("where not even that fits there is none", () => {
  assert.equal(scaleBar(1e9), undefined);
});
