import assert from "node:assert/strict";
import { test } from "node:test";
import type { DisplaySet, Stack } from "../src/dicom/displaysets";
import { describeFrame } from "../src/dicom/frame";
import { valuesInWords } from "../src/dicom/measurewords";
import type { DicomElement, DicomObject } from "../src/dicom/model";
import { PALETTES, PALETTE_NAMES, gradientOf } from "../src/dicom/palettes";
import { CT_PRESETS, endsOf, presetWords, windowFor, presetsFor, windowBetween } from "../src/dicom/presets";
import { suvFactor, unitOf, uptakeOf, valueInWords, whyNoSuv } from "../src/dicom/uptake";
import { isVolume, renderingsFor, volumeOf } from "../src/dicom/volume";
import { ONE_CELL, fusedCuts, isCut, isFused } from "../src/state/layout";
import { fromDraft, toDraft } from "../src/state/draftform";
import { fusionPair } from "../src/state/fusion";
import { COMMANDS } from "../src/tools/keys";

type Values = Readonly<Record<string, readonly unknown[]>>;

function object(values: Values): DicomObject {
  return Object.fromEntries(Object.entries(values).map(([tag, Value]): [string, DicomElement] => [tag, { vr: "UN", Value }]));
}

const PIXELS: Values = {
  "00200037": [1, 0, 0, 0, 1, 0],
  "00280002": [1],
  "00280004": ["MONOCHROME2"],
  "00280010": [8],
  "00280011": [8],
  "00280030": [2, 2],
};

function stack(id: string, modality: string, reference: string, count = 4, values: Values = {}): Stack {
  const frames = Array.from({ length: count }, (_, index) => ({
    number: 1,
    instance: object({ ...PIXELS, "00200032": [0, 0, 3 * index], "00200052": [reference], ...values }),
  }));
  return { kind: "stack", id, seriesUid: id, seriesNumber: 1, description: "", modality, multiFrame: false, frames };
}

const IN_GRAMS: Values = { "00080016": ["1.2.840.10008.5.1.4.1.1.128"], "00541001": ["GML"] };

test("uptake is told of PET alone, found once, and why there is none in words", () => {
  assert.equal(uptakeOf(stack("a", "CT", "1.2")), undefined);
  const pet = stack("b", "PT", "1.2", 4, IN_GRAMS);
  assert.deepEqual(uptakeOf(pet), { factor: 1 });
  assert.equal(uptakeOf(pet), uptakeOf(pet));
  const other = uptakeOf(stack("c", "PT", "1.2", 4, { ...IN_GRAMS, "00541001": ["CNTS"] }))!;
  assert.equal(suvFactor(other), undefined);
  assert.ok("why" in other);
  assert.equal(whyNoSuv(other), "the values are in CNTS.");
  assert.equal(whyNoSuv({ why: "missing", tag: "00181074" }), "the injected dose is missing.");
  assert.equal(whyNoSuv({ why: "uncorrected", lacks: ["ATTN", "DECY"] }), "the values are not corrected for attenuation, decay.");
  assert.equal(whyNoSuv({ why: "times" }), "the times of injection and scan contradict one another.");
});

test("values are said in their own unit, with uptake before it where that is known", () => {
  assert.equal(valueInWords(5000, "Bq/ml", 4e-4), "SUVbw 2.00 · 5000 Bq/ml");
  assert.equal(valueInWords(2.5, "g/ml", 1), "SUVbw 2.50");
  assert.equal(valueInWords(-31, "HU", undefined), "-31 HU");
  assert.equal(unitOf({ units: "BQML", rescaleType: undefined }), "Bq/ml");
  assert.equal(unitOf({ units: undefined, rescaleType: "US" }), "");
});

test("what a region of PET measures is said as uptake and as activity, and stored as uptake", () => {
  const statistics = { count: 4, mean: 2.3456, sd: 0.5, min: 1, max: 3, unit: "SUVbw" };
  const spacing = { x: 1, y: 1, unit: "mm", atDetector: false } as const;
  const points = [{ x: 0, y: 0 }, { x: 2, y: 0 }, { x: 2, y: 2 }, { x: 0, y: 2 }];
  const words = valuesInWords({ kind: "rectangle", points, spacing, statistics }, { perSuv: 2500, unit: "Bq/ml" });
  assert.deepEqual(words.slice(1), ["Mean 2.35 SUVbw, SD 0.50", "Min 1.00, max 3.00", "Mean 5864.0 Bq/ml, SD 1250.0", "Min 2500, max 7500"]);
  const image = { seriesInstanceUid: "1", sopInstanceUid: "2", sopClassUid: "3", frame: 1, frameOfReferenceUid: null };
  const draft = toDraft({ id: "9", kind: "rectangle", image, points, spacing, statistics, label: "" });
  assert.deepEqual(draft.values?.find(({ name }) => name === "mean"), { name: "mean", value: 2.3456, unit: "g/ml{SUVbw}" });
  assert.equal(fromDraft(draft, spacing)?.statistics?.unit, "SUVbw");
});

test("windows of PET reach from no uptake to a named one, by keys that no command has", () => {
  const presets = presetsFor("PT", 4e-4);
  assert.deepEqual(presets.map(presetWords), ["SUV 0–5", "SUV 0–7", "SUV 0–10", "SUV 0–15", "SUV 0–20", "SUV 0–30"]);
  assert.deepEqual(endsOf(windowFor(presets[2]!, () => undefined)!).map((end) => Math.round(end * 1e6) / 1e6), [0, 25_000]);
  assert.deepEqual(endsOf(windowBetween(-3, 8)), [-3, 8]);
  assert.equal(presetsFor("PT")[0]!.name, "percent100");
  assert.equal(presetsFor("CT"), CT_PRESETS);
  const commands = new Set(Object.values(COMMANDS).flatMap(({ keys }) => [...keys] as string[]));
  assert.ok(presets.every(({ key }) => !commands.has(key)));
});

test("PET lies over CT of its own frame of reference, and the pair in hand before others", () => {
  const ct = stack("ct", "CT", "1.2");
  const long = stack("long", "CT", "1.2", 9);
  const mr = stack("mr", "MR", "1.2", 20);
  const pet = stack("pet", "PT", "1.2");
  const known = stack("known", "PT", "1.2", 4, IN_GRAMS);
  const nm = stack("nm", "NM", "1.2", 30);
  const elsewhere = [stack("ct2", "CT", "1.9"), stack("pet2", "PT", "1.9")];
  const pair = (sets: readonly DisplaySet[], inHand?: Stack) => {
    const found = fusionPair(sets, inHand);
    return found && [found.under.id, found.over.id];
  };
  const all = [ct, long, mr, nm, pet, known, ...elsewhere];
  assert.deepEqual(pair(all, ct), ["ct", "known"]);
  assert.deepEqual(pair(all, pet), ["long", "pet"]);
  assert.deepEqual(pair(all, nm), ["long", "nm"]);
  assert.deepEqual(pair(all, mr), ["mr", "known"]);
  assert.deepEqual(pair(all, elsewhere[1]), ["ct2", "pet2"]);
  assert.deepEqual(pair([mr, nm]), ["mr", "nm"]);
  assert.equal(pair([ct, elsewhere[1]!]), undefined);
  assert.equal(pair([ct, stack("few", "PT", "1.2", 2)], ct), undefined);
});

test("fused planes are cuts with another volume over them, and its own images beside them", () => {
  const layout = fusedCuts("ct", "pet");
  assert.ok(isFused(layout) && isCut(layout) && !isFused(ONE_CELL));
  assert.deepEqual(layout.cells[3], { set: "pet", cut: null });
  assert.ok(layout.cells.slice(0, 3).every((cell) => cell?.set === "ct" && cell.over === "pet"));
});

test("slices of nuclear medicine lie where the detector says, behind one another or before", () => {
  const recon = (spacing: number, more: Values = {}): Stack => {
    const detector = object({ "00200032": [-60, -70, 300], "00200037": [1, 0, 0, 0, 1, 0] });
    const { "00200037": _, ...pixels } = PIXELS;
    const instance = object({
      ...pixels, "00080008": ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"], "00080016": ["1.2.840.10008.5.1.4.1.1.20"],
      "00180088": [spacing], "00200052": ["1.2"], "00280008": [5], "00540022": [detector], ...more,
    });
    const frames = [1, 2, 3, 4, 5].map((number) => ({ instance, number }));
    return { ...stack("nm", "NM", "1.2"), frames, multiFrame: true };
  };
  const behind = volumeOf(recon(4));
  assert.ok(isVolume(behind));
  assert.deepEqual([behind.origin, behind.spacing, behind.order], [[-60, -70, 300], [2, 2, 4], [0, 1, 2, 3, 4]]);
  const before = volumeOf(recon(-4));
  assert.ok(isVolume(before));
  assert.deepEqual([before.origin, before.order], [[-60, -70, 284], [4, 3, 2, 1, 0]]);
  const listed = recon(4, { "00540080": [5, 4, 3, 2, 1] });
  assert.deepEqual(describeFrame(listed.frames[0]!.instance, 1).positionMm, [-60, -70, 316]);
  const planar = volumeOf(recon(4, { "00080008": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"] }));
  assert.ok(!isVolume(planar) && planar.why === "unplaced");
});

test("palettes begin at the lowest value and end at the highest", () => {
  for (const name of PALETTE_NAMES) {
    const levels = PALETTES[name].map(([at]) => at);
    assert.deepEqual([levels[0], levels.at(-1)], [0, 255]);
    assert.ok(levels.every((at, index) => index === 0 || at > levels[index - 1]!));
  }
  assert.equal(gradientOf("grey", "right"), "linear-gradient(to right, rgb(0 0 0) 0.0%, rgb(255 255 255) 100.0%)");
});

test("solids are made of what their modality has", () => {
  assert.equal(renderingsFor("CT", true)[0], "bone");
  assert.deepEqual(renderingsFor("PT", false), ["greatest", "window"]);
  assert.equal(renderingsFor("MR", false)[0], "tissue");
  assert.equal(renderingsFor("US", false)[0], "window");
});
