import assert from "node:assert/strict";
import { test } from "node:test";
import { type Plane, areParallel, cut, nearestPlane, pixelOf, planeOf, planeThrough, pointAt } from "../src/dicom/geometry";
import { describeFrame } from "../src/dicom/frame";

const AXIAL: Plane = plane([-50, -50, 10], [1, 0, 0], [0, 1, 0]);
const CORONAL: Plane = plane([-50, 5, 50], [1, 0, 0], [0, 0, -1]);

function plane(origin: readonly number[], row: readonly number[], column: readonly number[]): Plane {
  const made = planeOf(
    describeFrame(
      {
        "00200032": { vr: "DS", Value: origin },
        "00200037": { vr: "DS", Value: [...row, ...column] },
        "00280030": { vr: "DS", Value: [2, 1] },
        "00280010": { vr: "US", Value: [50] },
        "00280011": { vr: "US", Value: [100] },
      },
      1,
    ),
  );
  assert.ok(made);
  return made;
}

test("a pixel and the point where it is belong together", () => {
  const point = pointAt(CORONAL, 30, 12);
  assert.deepEqual(point, [-20, 5, 26]);
  const { x, y, distance } = pixelOf(CORONAL, [point[0], 8, point[2]]);
  assert.deepEqual([x, y, Math.abs(distance)], [30, 12, 3]);
});

test("two planes meet in a line inside of the second picture", () => {
  const line = cut(AXIAL, CORONAL);
  assert.ok(line);
  const ends = [...line].sort((a, b) => a[0] - b[0]);
  assert.deepEqual(ends, [[-50.5, 5, 10], [49.5, 5, 10]]);
});

test("parallel planes, and pictures that do not reach one another, do not meet", () => {
  assert.equal(cut(AXIAL, plane([0, 0, 99], [1, 0, 0], [0, 1, 0])), undefined);
  assert.equal(cut(AXIAL, plane([-50, 5, -60], [1, 0, 0], [0, 0, -1])), undefined);
  assert.ok(areParallel(AXIAL, plane([0, 0, 0], [-1, 0, 0], [0, 1, 0])));
});

test("the nearest plane, where some have no place", () => {
  const planes = [undefined, plane([0, 0, 0], [1, 0, 0], [0, 1, 0]), plane([0, 0, 5], [1, 0, 0], [0, 1, 0])];
  assert.equal(nearestPlane(planes, [3, 3, 4]), 2);
  assert.equal(nearestPlane([undefined], [0, 0, 0]), undefined);
});

test("what lacks position, orientation or spacing has no plane", () => {
  for (const missing of ["00200032", "00200037", "00280030"]) {
    const instance: Record<string, { vr: string; Value: readonly number[] }> = {
      "00200032": { vr: "DS", Value: [0, 0, 0] },
      "00200037": { vr: "DS", Value: [1, 0, 0, 0, 1, 0] },
      "00280030": { vr: "DS", Value: [1, 1] },
    };
    delete instance[missing];
    assert.equal(planeOf(describeFrame(instance, 1)), undefined, missing);
  }
  const along = { "00200037": { vr: "DS", Value: [1, 0, 0, 1, 0, 0] }, "00200032": { vr: "DS", Value: [0, 0, 0] }, "00280030": { vr: "DS", Value: [1, 1] } };
  assert.equal(planeOf(describeFrame(along, 1)), undefined);
});

test("the plane through points is turned by custom, and there is none where they lie in no one", () => {
  const flat = planeThrough([[10, 20, 5], [40, 20, 5], [40, 60, 5]])!;
  assert.deepEqual([flat.row, flat.column, flat.spacing].map((way) => way.map((part) => part + 0)), [[1, 0, 0], [0, 1, 0], [1, 1]]);
  assert.deepEqual(pixelOf(flat, [40, 60, 5]), { x: 30, y: 40, distance: 0 });
  const coronal = planeThrough([[0, 7, 0], [0, 7, 10], [10, 7, 0]])!;
  assert.deepEqual([coronal.row, coronal.column].map((way) => way.map((part) => part + 0)), [[1, 0, 0], [0, 0, -1]]);
  const sagittal = planeThrough([[3, 0, 0], [3, 0, 10], [3, 10, 0]])!;
  assert.deepEqual([sagittal.row, sagittal.column].map((way) => way.map((part) => part + 0)), [[0, 1, 0], [0, 0, -1]]);
  for (const points of [[[1, 2, 3]], [[1, 2, 3], [4, 6, 3]], [[0, 0, 0], [1, 1, 1], [3, 3, 3]]] as const) {
    const plane = planeThrough(points)!;
    for (const point of points) assert.ok(Math.abs(pixelOf(plane, point).distance) < 1e-9);
    assert.ok(Math.abs(plane.normal.reduce((sum, part) => sum + part ** 2, 0) - 1) < 1e-9);
  }
  const oblique = [[0, 0, 0], [30, 0, 0], [30, 24, 32], [0, 24, 32]] as const;
  const found = oblique.map((point) => pixelOf(planeThrough(oblique)!, point));
  assert.ok(Math.abs(Math.hypot(found[2]!.x, found[2]!.y) - 50) < 1e-9, "3, 4, 5");
  assert.equal(planeThrough([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]]), undefined);
  assert.equal(planeThrough([]), undefined);
});
