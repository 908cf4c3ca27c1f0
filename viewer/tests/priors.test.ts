import assert from "node:assert/strict";
import { test } from "node:test";
import { TAG, type DicomObject } from "../src/dicom/model";
import { createPriors, priorsAmong } from "../src/state/priors";

function study(uid: string, patientId: string, date: string, issuer?: string): DicomObject {
  return {
    [TAG.studyInstanceUid]: { vr: "UI", Value: [uid] },
    [TAG.patientId]: { vr: "LO", Value: [patientId] },
    [TAG.studyDate]: { vr: "DA", Value: [date] },
    [TAG.modalitiesInStudy]: { vr: "CS", Value: ["CT", "SR"] },
    ...(issuer ? { [TAG.issuerOfPatientId]: { vr: "LO", Value: [issuer] } } : {}),
  };
}

const own = study("1.1", "A*", "20250101", "WARD");

test("priors are those of the same Patient ID and issuer, newest first, without the study itself", () => {
  const found = [
    own,
    study("1.2", "A*", "20240101", "WARD"),
    study("1.3", "A*", "20260101", "WARD"),
    study("1.4", "AB", "20260101", "WARD"),
    study("1.5", "A*", "20260101"),
    study("1.6", "A*", "20260101", "OTHER"),
  ];
  assert.deepEqual(priorsAmong(found, own).map(({ uid }) => uid), ["1.3", "1.2"]);
  assert.deepEqual(priorsAmong(found, own)[0]!.modalities, ["CT", "SR"]);
});

test("a study without a Patient ID has no priors, and nobody is asked for them", async () => {
  let asked = 0;
  const priors = createPriors("1.1", {
    findStudy: () => Promise.resolve({}),
    findStudiesOfPatient: () => {
      asked += 1;
      return Promise.resolve([own]);
    },
  });
  priors.load();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([priors.studies(), asked], [[], 0]);
});

test("after an error they are asked for again", async () => {
  let fails = true;
  const priors = createPriors("1.1", {
    findStudy: () => (fails ? Promise.reject(new Error("no network")) : Promise.resolve(own)),
    findStudiesOfPatient: () => Promise.resolve([own, study("1.2", "A*", "20240101", "WARD")]),
  });
  priors.load();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(priors.error());
  fails = false;
  priors.load();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([priors.error(), priors.studies()?.length], [null, 1]);
  priors.load();
  priors.dispose();
});
