import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pixels } from "../src/dicom/measure";
import { presetsFor, windowFor, type Preset } from "../src/dicom/presets";

const pixels: Pixels = {
  columns: 101,
  rows: 1,
  values: Float32Array.from({ length: 101 }, (_, at) => at),
  slope: 2,
  intercept: -10,
  unit: "",
};
const named = (modality: string, name: string): Preset => presetsFor(modality).find((one) => one.name === name)!;

test("each modality has its windows, one that is not known has none", () => {
  for (const modality of ["CT", "MR", "CR", "DX", "MG", "PT", "NM", "XA", "RF"]) assert.ok(presetsFor(modality).length >= 3);
  assert.deepEqual(presetsFor("constructor"), []);
});

test("windows of CT are in Hounsfield units, whatever the image holds", () => {
  assert.deepEqual(windowFor(named("CT", "lung"), () => undefined), { center: -600, width: 1500 });
});

test("windows by percentiles are those of the image's values", () => {
  assert.deepEqual(windowFor(named("MR", "all"), () => pixels), { center: 90, width: 200 });
  assert.deepEqual(windowFor(named("MR", "contrasty"), () => pixels), { center: 90, width: 180 });
});

test("counts begin at zero and end at a part of the greatest", () => {
  assert.deepEqual(windowFor(named("NM", "percent50"), () => pixels), { center: 47.5, width: 95 });
  assert.deepEqual(windowFor(named("PT", "percent10"), () => pixels), { center: 9.5, width: 19 });
});

test("without known values there is no window, and one gray has one of some width", () => {
  assert.equal(windowFor(named("MR", "all"), () => undefined), undefined);
  assert.equal(windowFor(named("MR", "all"), () => ({ ...pixels, values: Float32Array.of(NaN), columns: 1 })), undefined);
  assert.ok(windowFor(named("MR", "all"), () => ({ ...pixels, values: Float32Array.of(7), columns: 1 }))!.width > 0);
});
