import assert from "node:assert/strict";
import { test } from "node:test";
import type { DicomObject } from "../src/dicom/model";
import { canSubtract, subtracted, subtractionOf } from "../src/dicom/subtraction";

const us = (...values: readonly number[]) => ({ vr: "US", Value: values });
const asking = (item: DicomObject): DicomObject => ({ "00280008": { vr: "IS", Value: [10] }, "00286100": { vr: "SQ", Value: [item] } });
const average: DicomObject = { "00286101": { vr: "CS", Value: ["AVG_SUB"] }, "00286110": us(1, 2, 99) };

test("an average of the mask frames that there are, for the frames that are meant", () => {
  assert.deepEqual(subtractionOf(asking(average), 5), { masks: [1, 2], shift: [0, 0] });
  const ranged = asking({ ...average, "00286102": us(3, 5, 8, 9), "00286114": { vr: "FL", Value: [0.5, -1] } });
  assert.deepEqual([2, 3, 5, 6, 8, 10].map((frame) => subtractionOf(ranged, frame) !== undefined), [false, true, true, false, true, false]);
  assert.deepEqual(subtractionOf(ranged, 4)!.shift, [0.5, -1]);
});

test("a frame some time before is the mask of TID", () => {
  const tid = asking({ "00286101": { vr: "CS", Value: ["TID"] }, "00286120": { vr: "SS", Value: [3] } });
  assert.deepEqual(subtractionOf(tid, 4)!.masks, [1]);
  assert.equal(subtractionOf(tid, 3), undefined);
});

test("what nobody asks for, or nobody does here, is not subtracted", () => {
  assert.equal(subtractionOf({}, 1), undefined);
  assert.equal(canSubtract(undefined), false);
  assert.equal(canSubtract(asking({ "00286101": { vr: "CS", Value: ["REV_TID"] } })), false);
  assert.equal(canSubtract(asking(average)), true);
});

test("the mean of the masks is taken off, moved between pixels", () => {
  assert.deepEqual([...subtracted([10, 10, 10, 10], [[2, 4, 6, 8], [4, 6, 8, 10]], 2, 2, [0, 0])], [7, 5, 3, 1]);
  // Moved one column to the right, and half a one; the edge is repeated.
  assert.deepEqual([...subtracted([0, 0, 0], [[3, 6, 9]], 1, 3, [0, 1])], [-3, -3, -6]);
  assert.deepEqual([...subtracted([0, 0, 0], [[3, 6, 9]], 1, 3, [0, 0.5])], [-3, -4.5, -7.5]);
  assert.deepEqual([...subtracted([0, 0], [[1, 5]], 2, 1, [-1, 0])], [-5, -5]);
});
