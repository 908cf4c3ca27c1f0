import assert from "node:assert/strict";
import { test } from "node:test";
import type { Stack } from "../src/dicom/displaysets";
import { describeFrame } from "../src/dicom/frame";
import { planeOf, pointAt } from "../src/dicom/geometry";
import type { DicomElement, DicomObject, Vector3 } from "../src/dicom/model";
import { edgeLetters } from "../src/dicom/orientation";
import { fittingVolume, tooLarge } from "../src/dicom/fitting";
import { halvedFrame, meansOf, meansOfColours } from "../src/dicom/reduction";
import { uprightLayer } from "../src/dicom/upright";
import {
  CUTS,
  isVolume,
  pointOf,
  sliceAt,
  sliceOf,
  sliceValues,
  slicesIn,
  slicing,
  volumeOf,
  voxelOf,
  type NoVolume,
  type Volume,
} from "../src/dicom/volume";

const AXIAL = [1, 0, 0, 0, 1, 0];
const CORONAL = [1, 0, 0, 0, 0, -1];
const SAGITTAL = [0, 1, 0, 0, 0, -1];

type Header = Readonly<Record<string, DicomElement>>;

function image(position: readonly number[], orientation: readonly number[], header: Header = {}): DicomObject {
  return {
    "00200032": { vr: "DS", Value: position },
    "00200037": { vr: "DS", Value: orientation },
    "00200052": { vr: "UI", Value: ["1.2.3"] },
    "00280002": { vr: "US", Value: [1] },
    "00280004": { vr: "CS", Value: ["MONOCHROME2"] },
    "00280010": { vr: "US", Value: [40] },
    "00280011": { vr: "US", Value: [60] },
    "00280030": { vr: "DS", Value: [0.5, 0.75] },
    ...header,
  };
}

function stackOf(instances: readonly DicomObject[]): Stack {
  const frames = instances.map((instance) => ({ instance, number: 1 }));
  const common = { id: "a", seriesUid: "b", seriesNumber: 1, description: "", modality: "CT" };
  return { ...common, kind: "stack", multiFrame: false, frames };
}

function axial(depths: readonly number[], header: Header = {}): Stack {
  return stackOf(depths.map((z) => image([-10, -20, z], AXIAL, header)));
}

function volume(stack: Stack): Volume {
  const found = volumeOf(stack);
  assert.ok(isVolume(found), JSON.stringify(found));
  return found;
}

function refused(stack: Stack): NoVolume {
  const found = volumeOf(stack);
  assert.ok(!isVolume(found));
  return found;
}

test("even slices are a volume, in the order of the third axis", () => {
  const { order, dimensions, spacing, origin } = volume(axial([9, 6, 3, 0]));
  assert.deepEqual([order, dimensions, spacing, origin], [[3, 2, 1, 0], [60, 40, 4], [0.75, 0.5, 3], [-10, -20, 0]]);
});

test("frames of one object are a volume too", () => {
  const { "00200032": _position, "00200037": _orientation, ...rest } = image([], []);
  const group = (sequence: string, tag: string, value: readonly number[]) => ({
    [sequence]: { vr: "SQ", Value: [{ [tag]: { vr: "DS", Value: value } }] },
  });
  const frames = [4, 0, 2].map((z) => group("00209113", "00200032", [0, 0, z]));
  const instance: DicomObject = {
    ...rest,
    "00280008": { vr: "IS", Value: [3] },
    "52009229": { vr: "SQ", Value: [group("00209116", "00200037", AXIAL)] },
    "52009230": { vr: "SQ", Value: frames },
  };
  const common = { id: "a", seriesUid: "b", seriesNumber: 1, description: "", modality: "CT" };
  const numbers = [1, 2, 3].map((number) => ({ instance, number }));
  const found = volume({ ...common, kind: "stack", multiFrame: true, frames: numbers });
  assert.deepEqual([found.order, found.spacing[2]], [[1, 2, 0], 2]);
});

test("a voxel and the point where it is belong together", () => {
  const oblique = [0.8, 0.6, 0, 0, 0, -1];
  const found = volume(stackOf([0, 2, 4].map((n) => image([n * -0.6, n * 0.8, 5], oblique))));
  const back = voxelOf(found, pointOf(found, [3, 7, 1]));
  for (const [axis, at] of [3, 7, 1].entries()) assert.ok(Math.abs(back[axis]! - at) < 1e-9);
});

for (const [name, orientation, step] of [
  ["axial", AXIAL, [0, 0, 2]],
  ["axial, from head to feet", AXIAL, [0, 0, -2]],
  ["coronal", CORONAL, [0, 2, 0]],
  ["sagittal", SAGITTAL, [-2, 0, 0]],
  ["axial, seen from the head", [-1, 0, 0, 0, 1, 0], [0, 0, 2]],
] as const) {
  test(`cuts of images taken ${name} are turned as is the custom`, () => {
    const found = volume(stackOf([0, 1, 2, 3].map((n) => image(step.map((mm) => 100 + n * mm), orientation))));
    const letters = CUTS.map((cut) => {
      const { row, column } = sliceOf(found, slicing(found, cut), 0);
      const { top, right } = edgeLetters(row, column);
      return `${cut}: ${top} above, ${right} on the right`;
    });
    assert.deepEqual(letters, [
      "axial: A above, L on the right",
      "coronal: H above, L on the right",
      "sagittal: H above, P on the right",
    ]);
  });
}

test("a slice holds the voxels of one layer, and is found again by a point in it", () => {
  const found = volume(axial([0, 3, 6, 9]));
  const coronal = slicing(found, "coronal");
  assert.deepEqual([coronal.count, coronal.stepMm], [40, 0.5]);
  const slice = sliceOf(found, coronal, 12);
  assert.deepEqual([slice.columns, slice.rows, slice.spacing], [60, 4, [0.75, 3]]);
  assert.deepEqual(pointAt(slice, 0, 0), pointOf(found, [0, 12, 3]));
  assert.deepEqual(pointAt(slice, 59, 3), pointOf(found, [59, 12, 0]));
  assert.equal(sliceAt(found, coronal, pointAt(slice, 30, 2)), 12);
  assert.equal(sliceAt(found, coronal, [0, -999, 0]), 0);
});

test("slices as they were taken run as their stack does", () => {
  for (const depths of [[0, 3, 6], [6, 3, 0]]) {
    const found = volume(axial(depths));
    const slices = depths.map((_, index) => sliceOf(found, slicing(found, "axial"), index).origin[2]);
    assert.deepEqual(slices, depths);
  }
});

test("what is no volume says why", () => {
  assert.deepEqual(refused(axial([0, 1])), { why: "few" });
  assert.deepEqual(refused(axial([0, 1, 2], { "00280002": { vr: "US", Value: [3] } })), { why: "colour" });
  assert.deepEqual(refused(axial([0, 1, 2], { "00200032": { vr: "DS" } })), { why: "unplaced" });
  assert.deepEqual(refused(axial([0, 1, 2], { "00200052": { vr: "UI" } })), { why: "unplaced" });
  assert.deepEqual(refused(axial([0, 1, 1, 2])), { why: "repeated", positions: 3 });
  assert.deepEqual(refused(axial([0, 3, 6, 12, 15])), { why: "gap", after: 3, mm: 6, usualMm: 3 });
  assert.deepEqual(refused(axial([15, 12, 6, 3, 0])), { why: "gap", after: 2, mm: 6, usualMm: 3 });
  assert.deepEqual(refused(axial([0, 3, 6, 10, 14])), { why: "uneven", leastMm: 3, mostMm: 4 });
  const odd = (header: Header) => refused(stackOf([...axial([0, 1, 2]).frames.map(({ instance }) => instance), image([-10, -20, 3], AXIAL, header)]));
  assert.deepEqual(odd({ "00280010": { vr: "US", Value: [41] } }), { why: "sizes" });
  assert.deepEqual(odd({ "00280030": { vr: "DS", Value: [0.5, 0.8] } }), { why: "spacings" });
  assert.deepEqual(odd({ "00200037": { vr: "DS", Value: CORONAL } }), { why: "orientations" });
  assert.deepEqual(odd({ "00200052": { vr: "UI", Value: ["1.2.4"] } }), { why: "references" });
});

/** Frames about the patient's left-right axis, each so many mm beyond the one before on a line. */
function leaning(degrees: number, step: readonly number[], axis: "row" | "column" = "column"): Stack {
  const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const orientation = axis === "column" ? [1, 0, 0, 0, cosine, sine] : [cosine, 0, sine, 0, 1, 0];
  return stackOf([0, 1, 2, 3, 4].map((n) => image(step.map((mm, part) => [7, -3, 40][part]! + n * mm), orientation)));
}

for (const [degrees, axis] of [[20, "column"], [-20, "column"], [15, "row"]] as const) {
  test(`a gantry tilted by ${degrees}° about its ${axis} makes a volume that stands upright`, () => {
    const stack = leaning(degrees, [0, 0, 5], axis);
    const found = volume(stack);
    const { tilt, axes, spacing, dimensions } = found;
    assert.ok(tilt);
    assert.ok(Math.abs(tilt.degrees - Math.abs(degrees)) < 1e-6);
    const identity = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    axes.forEach((way, at) => way.forEach((part, of) => assert.ok(Math.abs(part - identity[at]![of]!) < 1e-9)));
    assert.equal(spacing[2], 5);
    // Every pixel of every frame lies at a voxel's column and row, and between two of its layers.
    const frames = stack.frames.map(({ instance }) => planeOf(describeFrame(instance, 1))!);
    frames.forEach((plane, frame) => {
      for (const [x, y] of [[0, 0], [59, 0], [0, 39], [31, 17]] as const) {
        const [i, j, k] = voxelOf(found, pointAt(plane, x, y));
        assert.ok(Math.abs(i - x) < 1e-4 && Math.abs(j - y) < 1e-4, `${i}, ${j} are not ${x}, ${y}`);
        assert.ok(k > -1e-6 && k < dimensions[2] - 1 + 1e-6);
        const leansBy = (tilt.axis === 0 ? x : y) * tilt.lean;
        assert.ok(Math.abs(k + tilt.first - leansBy - frame) < 1e-4);
      }
    });
  });
}

test("layers of an upright volume lie between its frames, in a straight line", () => {
  const tilt = { degrees: 20, axis: 1, lean: 0.25, first: 0 } as const;
  const frames = [0, 1, 2].map((frame) => Float32Array.from({ length: 6 }, (_, at) => 100 * frame + at));
  const layer = (index: number) => {
    const into = new Float32Array(6);
    uprightLayer({ dimensions: [2, 3, 4], tilt }, frames, index, -1, into);
    return [...into];
  };
  assert.deepEqual(layer(0), [0, 1, -1, -1, -1, -1]);
  assert.deepEqual(layer(1), [100, 101, 77, 78, 54, 55]);
  assert.deepEqual(layer(2), [200, 201, 177, 178, 154, 155]);
  assert.deepEqual(layer(3), [-1, -1, -1, -1, -1, -1]);
  const whole = new Int16Array(6);
  uprightLayer({ dimensions: [2, 3, 4], tilt: { ...tilt, lean: 0.255 } }, frames, 1, -1, whole);
  assert.deepEqual([...whole], [100, 101, 77, 78, 53, 54]);
});

test("frames that lean about both of their axes, or too far, are refused", () => {
  const both = refused(stackOf([0, 5, 10, 15].map((z) => image([z / 5, z / 4, z], AXIAL))));
  assert.ok(both.why === "tilted" && Math.abs(both.degrees - (Math.atan(Math.hypot(0.2, 0.25)) * 180) / Math.PI) < 1e-6);
  assert.equal(refused(leaning(70, [0, 0, 5])).why, "tilted");
  const crooked = refused(stackOf([0, 5, 10, 15].map((z, n) => image([0, z * 0.3 + (n === 2 ? 2 : 0), z], AXIAL))));
  assert.equal(crooked.why, "tilted");
});

test("a device that cannot hold a volume says so before it is fetched", () => {
  const found = volume(axial([0, 3, 6, 9]));
  assert.equal(tooLarge(found, 60 * 40 * 4 * 4), undefined);
  assert.deepEqual(tooLarge({ ...found, dimensions: [1000, 1000, 300] }, 1e9), { why: "large", megabytes: 1200, mostMegabytes: 1000 });
  assert.deepEqual(tooLarge({ ...found, dimensions: [2049, 10, 10] }, 1e9), { why: "long", voxels: 2049, most: 2048 });
});

test("a slab holds whole slices, as many on either side", () => {
  const axialWay = slicing(volume(axial([0, 3, 6, 9])), "axial");
  const slices = (mm: number) => slicesIn({ projection: "mean", mm }, axialWay);
  assert.deepEqual([0, 1, 5, 6, 9, 11, 15].map(slices), [1, 1, 1, 3, 3, 3, 5]);
});

test("positions rounded in headers are even enough", () => {
  const { spacing } = volume(axial([0, 0.63, 1.25, 1.88, 2.5]));
  assert.ok(Math.abs(spacing[2] - 0.625) < 1e-9);
});

test("the values of a slice lie where the slice says, and a slab is projected", () => {
  const cube = volume(axial([0, 2, 4, 6, 8]));
  const valueAt = ([i, j, k]: Vector3) => i + 100 * j + 10_000 * k;
  for (const cut of CUTS) {
    const way = slicing(cube, cut);
    const plane = sliceOf(cube, way, 1);
    const values = sliceValues(cube, way, 1, null, valueAt);
    assert.equal(values.length, plane.columns * plane.rows);
    for (const [column, row] of [[0, 0], [3, 2], [plane.columns - 1, plane.rows - 1]] as const) {
      const voxel = voxelOf(cube, pointAt(plane, column, row)).map(Math.round) as [number, number, number];
      assert.equal(values[row * plane.columns + column], valueAt(voxel), cut);
    }
  }
  const way = slicing(cube, "axial");
  const first = (index: number, projection: "greatest" | "least" | "mean") => sliceValues(cube, way, index, { slices: 3, projection }, valueAt)[0]!;
  assert.deepEqual([first(2, "greatest"), first(2, "least"), first(2, "mean")], [30_000, 10_000, 20_000]);
  assert.deepEqual([first(0, "greatest"), first(0, "mean")], [10_000, 5_000], "beyond the volume there is nothing");
});

test("a volume too large for a device is halved in its images, about the same middle", () => {
  const whole = volume(axial([0, 3, 6, 9]));
  const bytes = 60 * 40 * 4 * 4;
  const same = fittingVolume(axial([0, 3, 6, 9]), bytes);
  assert.deepEqual(same, whole);
  const half = fittingVolume(axial([0, 3, 6, 9]), bytes - 1);
  assert.ok(isVolume(half));
  assert.deepEqual([half.dimensions, half.spacing, half.reduction], [[30, 20, 4], [1.5, 1, 3], { halvings: 1, every: 1 }]);
  // The first voxel is the mean of two by two: its middle lies half a pixel to the right and below.
  assert.deepEqual(half.origin, [-10 + 0.375, -20 + 0.25, 0]);
  const middle = ({ dimensions: [i, j, k] }: Volume): Vector3 => [(i - 1) / 2, (j - 1) / 2, (k - 1) / 2];
  assert.deepEqual(pointOf(half, middle(half)), pointOf(whole, middle(whole)));
});

test("images are left out where halving would leave them coarser than the steps between them", () => {
  const depths = Array.from({ length: 41 }, (_, index) => index * 0.25);
  const found = fittingVolume(axial(depths), 60 * 40 * 21 * 4);
  assert.ok(isVolume(found));
  assert.deepEqual([found.reduction, found.dimensions, found.spacing[2]], [{ halvings: 0, every: 2 }, [60, 40, 21], 0.5]);
  assert.deepEqual(found.order, depths.map((_, index) => index).filter((index) => index % 2 === 0));
  const far = fittingVolume(axial([0, 3, 6, 9]), 100);
  assert.ok(!isVolume(far) && far.why === "large", "what shows nothing is refused");
});

test("sides that graphics do not take are reduced whatever memory there is", () => {
  const size = { "00280010": { vr: "US", Value: [2100] }, "00280011": { vr: "US", Value: [4099] } };
  const wide = fittingVolume(axial([0, 3, 6], size), 1e12);
  assert.ok(isVolume(wide));
  assert.deepEqual([wide.dimensions, wide.reduction.halvings], [[1025, 525, 3], 2]);
  const long = fittingVolume(axial(Array.from({ length: 2100 }, (_, index) => index)), 1e12);
  assert.ok(isVolume(long));
  assert.deepEqual([long.dimensions, long.reduction], [[60, 40, 1050], { halvings: 0, every: 2 }]);
});

test("a tilted gantry is straightened of reduced images as of whole ones", () => {
  const tilt = (20 * Math.PI) / 180;
  const orientation = [1, 0, 0, 0, Math.cos(tilt), Math.sin(tilt)];
  const stack = stackOf(Array.from({ length: 13 }, (_, index) => image([0, 0, 3 * index], orientation)));
  const [whole, half] = [volume(stack), volumeOf(stack, { halvings: 1, every: 2 })];
  assert.ok(isVolume(half) && whole.tilt && half.tilt);
  assert.ok(Math.abs(half.tilt.degrees - whole.tilt.degrees) < 1e-9);
  // Pixel 10, 12 of the halved fourth frame (of those kept), and where the whole frame has it: column 20.5, row 24.5 of frame 6.
  const at = 3 + (12 * half.tilt.lean) - half.tilt.first;
  const was = 6 + (24.5 * whole.tilt.lean) - whole.tilt.first;
  const [a, b] = [pointOf(half, [10, 12, at]), pointOf(whole, [20.5, 24.5, was])];
  for (const part of [0, 1, 2] as const) assert.ok(Math.abs(a[part] - b[part]) < 1e-3, `${a} ${b}`);
});

test("a halved frame lies where its squares of pixels have their middles", () => {
  const frame = describeFrame(image([-10, -20, 5], CORONAL), 1);
  const small = halvedFrame(frame, 2);
  assert.deepEqual([small.columns, small.rows, small.spacingMm], [15, 10, [2, 3]]);
  const [plane, whole] = [planeOf(small)!, planeOf(frame)!];
  assert.deepEqual(pointAt(plane, 2, 3), pointAt(whole, 9.5, 13.5));
});

test("means of squares, of fewer pixels at the edges and without padding", () => {
  const never = () => false;
  const values = Int16Array.from([1, 2, 3, 10, 3, 4, 5, 11, -7, -8, 20, 12]);
  assert.deepEqual([...meansOf(values, { columns: 4, rows: 3 }, 1, never)], [3, 7, -7, 16]);
  assert.deepEqual([...meansOf(values, { columns: 4, rows: 3 }, 2, never)], [5]);
  const padded = Int16Array.from([-2000, -2000, -2000, 8, -2000, -2000, 4, -2000]);
  assert.deepEqual([...meansOf(padded, { columns: 4, rows: 2 }, 1, (value) => value === -2000)], [-2000, 6]);
  assert.deepEqual([...meansOf(Float32Array.from([1, 2]), { columns: 2, rows: 1 }, 1, never)], [1.5]);
});

test("a picture's means are of each of its colours, of fewer pixels at the edges and without opacity", () => {
  const pixels = [[10, 0, 255], [20, 0, 255], [7, 8, 9], [30, 1, 0], [40, 1, 0], [9, 8, 7]];
  const size = { columns: 3, rows: 2 };
  assert.deepEqual([...meansOfColours(pixels.flat(), size, 1, 3)], [25, 1, 128, 8, 8, 8]);
  const opaque = pixels.flatMap((colour) => [...colour, 255]);
  assert.deepEqual([...meansOfColours(opaque, size, 1, 4)], [25, 1, 128, 8, 8, 8]);
  assert.deepEqual([...meansOfColours(pixels.flat(), size, 2, 3)], [19, 3, 88]);
  assert.deepEqual([...meansOfColours(pixels.flat(), size, 0, 3)], pixels.flat());
});
