import assert from "node:assert/strict";
import { test } from "node:test";
import { WHOLE, cropEdges, facePlanes, isWhole, withFace } from "../src/dicom/crop";
import { meeting, planeValues, rotated, straightCutting, turnedCutting } from "../src/dicom/cutting";
import { pixelOf, pointAt, type Plane } from "../src/dicom/geometry";
import { statistics } from "../src/dicom/measure";
import type { Vector3 } from "../src/dicom/model";
import { cross, dot } from "../src/dicom/orientation";
import { CUTS, pointOf, voxelOf, type Volume } from "../src/dicom/volume";

const VOLUME: Volume = {
  order: [0, 1, 2, 3, 4, 5, 6, 7],
  dimensions: [20, 16, 8],
  spacing: [1, 1.5, 2],
  origin: [-10, -12, 100],
  axes: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  frameOfReferenceUid: "1.2.3",
  tilt: null,
  reduction: { halvings: 0, every: 1 },
};
const PIVOT: Vector3 = [-2.3, 1.4, 107.1];

function near(actual: readonly number[], expected: readonly number[], within = 1e-9): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, at) => assert.ok(Math.abs(value - expected[at]!) <= within, `${actual} is not ${expected}`));
}

test("a direction turns as a screw does that drives along the axis", () => {
  near(rotated([1, 0, 0], [0, 0, 1], Math.PI / 2), [0, 1, 0]);
  near(rotated([0, 0, 1], [1, 0, 0], Math.PI / 2), [0, -1, 0]);
  const axis: Vector3 = [0.6, 0, 0.8];
  const turned = rotated([0, 1, 0], axis, 0.7);
  near([dot(turned, axis), Math.hypot(...turned)], [0, 1]);
});

for (const cut of CUTS) {
  test(`${cut} pictures that are not turned any more show what they showed`, () => {
    const straight = straightCutting(VOLUME, cut);
    const index = straight.indexAt(PIVOT);
    const { row, column, origin, normal } = straight.planeAt(index);
    const pivot = pointOf(VOLUME, [10, 7, 3]);
    const cutting = turnedCutting(VOLUME, cut, { right: row, down: column, pivot });
    const plane = cutting.planeAt(cutting.indexAt(pivot));
    near(plane.normal, normal);
    near([pixelOf(plane, pivot).distance], [0]);
    // Walking on goes the same way.
    const step = (planes: { planeAt(at: number): Plane }, at: number) =>
      Math.sign(pixelOf(planes.planeAt(at), planes.planeAt(at + 1).origin).distance);
    assert.equal(step(cutting, 0), step(straight, 0));
    assert.ok(Math.abs(pixelOf(plane, origin).x) <= 1.1);
  });
}

test("a plane that is turned holds its pivot, covers the volume and is walked through to its ends", () => {
  const [right, down] = [rotated([1, 0, 0], [0, 1, 0], 0.5), [0, 1, 0] as Vector3];
  const cutting = turnedCutting(VOLUME, "axial", { right, down, pivot: PIVOT });
  assert.equal(cutting.stepMm, 1);
  const plane = cutting.planeAt(cutting.indexAt(PIVOT));
  near([pixelOf(plane, PIVOT).distance], [0]);
  near(plane.normal, cross(right, down));
  const corners = [0, 19].flatMap((i) => [0, 15].flatMap((j) => [0, 7].map((k) => pointOf(VOLUME, [i, j, k]))));
  for (const corner of corners) {
    const { x, y } = pixelOf(plane, corner);
    assert.ok(x > -0.6 && x < plane.columns - 0.4 && y > -0.6 && y < plane.rows - 0.4);
    const nearest = cutting.planeAt(cutting.indexAt(corner));
    assert.ok(Math.abs(pixelOf(nearest, corner).distance) <= 0.5 + 1e-9);
  }
  assert.equal(cutting.indexAt([0, 0, -999]), 0);
});

test("three planes meet in one point, and two that are parallel nowhere", () => {
  const planes = CUTS.map((cut) => {
    const cutting = straightCutting(VOLUME, cut);
    return cutting.planeAt(cutting.indexAt(pointOf(VOLUME, [4, 9, 5])));
  });
  const [a, b, c] = planes as [Plane, Plane, Plane];
  near(meeting(a, b, c)!, pointOf(VOLUME, [4, 9, 5]));
  assert.equal(meeting(a, b, b), undefined);
});

test("faces of a box stop before one another", () => {
  const cropped = withFace(WHOLE, "left", 0.4);
  assert.ok(isWhole(WHOLE) && !isWhole(cropped));
  assert.deepEqual(withFace(cropped, "right", 0.7), { ...cropped, right: 0.39 });
  assert.equal(withFace(WHOLE, "feet", -1).feet, 0);
});

test("faces lie where they are in the patient, whichever way the axes of the volume run", () => {
  const mirrored: Volume = {
    ...VOLUME,
    dimensions: [16, 8, 20],
    spacing: [1.5, 2, 1],
    origin: pointOf(VOLUME, [19, 0, 7]),
    axes: [[0, 1, 0], [0, 0, -1], [-1, 0, 0]],
  };
  const crop = { right: 0.25, left: 0.75, front: 0.5, back: 1, feet: 0, head: 0.5 };
  for (const volume of [VOLUME, mirrored]) {
    const [right, left, front, back, feet, head] = facePlanes(volume, crop);
    near([right!.origin[0], left!.origin[0]], [-10.5 + 5, -10.5 + 15]);
    near([front!.origin[1], back!.origin[1]], [-12.75 + 12, -12.75 + 24]);
    near([feet!.origin[2], head!.origin[2]], [99, 99 + 8]);
    near(right!.inward, [1, 0, 0]);
    near(left!.inward, [-1, 0, 0]);
    near(head!.inward, [0, 0, -1]);
    const edges = cropEdges(volume, crop);
    assert.equal(edges.length, 12);
    const places = edges.flat();
    const reach = [0, 1, 2].map((part) => [Math.min(...places.map((p) => p[part]!)), Math.max(...places.map((p) => p[part]!))]);
    near(reach.flat(), [-5.5, 4.5, -0.75, 11.25, 99, 107]);
    // Each edge runs along one axis, and the lengths are those of the box.
    const lengths = edges.map(([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])).sort((a, b) => a - b);
    near(lengths, [8, 8, 8, 8, 10, 10, 10, 10, 12, 12, 12, 12]);
  }
});

test("values of a turned picture lie between voxels, and there are none outside", () => {
  // A value that grows evenly is between voxels what it is at them.
  const held = (voxel: readonly number[]) =>
    voxel.every((at, axis) => at >= 0 && at < VOLUME.dimensions[axis]!) ? 3 * voxel[0]! - 2 * voxel[1]! + 7 * voxel[2]! : undefined;
  const [right, down] = [rotated([1, 0, 0], [0, 1, 0], 0.4), [0, 1, 0] as Vector3];
  const cutting = turnedCutting(VOLUME, "axial", { right, down, pivot: PIVOT });
  const index = cutting.indexAt(PIVOT);
  const plane = cutting.planeAt(index);
  const values = planeValues(VOLUME, cutting, index, null, held);
  assert.equal(values.length, plane.columns * plane.rows);
  const { x, y } = pixelOf(plane, PIVOT);
  const at = Math.round(y) * plane.columns + Math.round(x);
  const [i, j, k] = voxelOf(VOLUME, pointAt(plane, Math.round(x), Math.round(y)));
  near([values[at]!], [3 * i - 2 * j + 7 * k]);
  assert.ok(Number.isNaN(values[0]!));
  const slab = planeValues(VOLUME, cutting, index, { slices: 5, projection: "greatest" }, held);
  const way = [0, 1, 2].map((axis) => (2 * plane.normal[axis]!) / VOLUME.spacing[axis]!);
  const step = Math.abs(3 * way[0]! - 2 * way[1]! + 7 * way[2]!);
  near([slab[at]!], [values[at]! + step]);
  const mean = planeValues(VOLUME, cutting, index, { slices: 5, projection: "mean" }, held);
  near([mean[at]!], [values[at]!]);
  const spacing = { x: 1, y: 1, unit: "mm", atDetector: false } as const;
  const corners = [{ x: -1, y: -1 }, { x: plane.columns, y: -1 }, { x: plane.columns, y: plane.rows }, { x: -1, y: plane.rows }];
  const pixels = { columns: plane.columns, rows: plane.rows, values, slope: 1, intercept: 0, unit: "HU" };
  const inside = statistics("rectangle", corners, spacing, pixels);
  assert.equal(inside?.count, [...values].filter((value) => !Number.isNaN(value)).length);
});
