import assert from "node:assert/strict";
import { test } from "node:test";
import type { StudyPage, StudyRow } from "../src/api/studies";
import { PAGE, createStudyList, type FindStudies } from "../src/state/studies";

const row = (number: number, description = ""): StudyRow => ({
  studyUid: `1.${number}`,
  patientName: `Patient^${number}`,
  patientId: String(number),
  patientBirthDate: "",
  patientSex: "",
  studyDate: "",
  studyTime: "",
  description,
  accession: "",
  referringPhysician: "",
  modalities: [],
  series: 1,
  instances: 1,
  thumbnail: null,
});

/** An archive that answers at once, and notes what it was asked. */
function archive(size: number) {
  const asked: { words: string; offset: number; limit: number }[] = [];
  let rows = Array.from({ length: size }, (_, index) => row(index));
  const find: FindStudies = async ({ words }, { limit, offset }, signal): Promise<StudyPage> => {
    asked.push({ words, offset, limit });
    await new Promise((resolve) => setTimeout(resolve, 5));
    signal?.throwIfAborted();
    const found = rows.filter((one) => one.patientName.includes(words));
    return { total: found.length, isLeast: false, studies: found.slice(offset, offset + limit) };
  };
  return { asked, find, change: (to: (rows: StudyRow[]) => StudyRow[]) => (rows = to(rows)) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 260));

test("a list is as long as the answer says, and what comes into sight is fetched", async () => {
  const { asked, find } = archive(3000);
  const list = createStudyList(find);
  await settled();
  assert.equal(list.state.total, 3000);
  assert.equal(list.row(0)?.patientId, "0");
  assert.equal(list.row(2990), undefined);
  list.see(2940, 2999);
  await settled();
  assert.equal(list.row(2999)?.patientId, "2999");
  assert.equal(list.row(1500), undefined);
  assert.deepEqual(asked.slice(1), [{ words: "", offset: 2900, limit: 2 * PAGE }]);
  list.dispose();
});

test("rows that fly by are not asked for", async () => {
  const { asked, find } = archive(3000);
  const list = createStudyList(find);
  await settled();
  for (let first = 0; first <= 2000; first += 100) list.see(first, first + 20);
  await settled();
  assert.deepEqual(asked.slice(1), [{ words: "", offset: 2000, limit: PAGE }]);
  list.dispose();
});

test("what is asked anew begins at its first row and forgets the other answer", async () => {
  const { find } = archive(300);
  const list = createStudyList(find);
  await settled();
  list.see(200, 220);
  await settled();
  assert.ok(list.row(210));
  list.see(0, 20);
  list.ask({ words: "^29" });
  await settled();
  assert.deepEqual([list.state.total, list.row(0)?.patientId, list.row(210)], [11, "29", undefined]);
  list.dispose();
});

test("between the typing and the answer no page of one answer comes among those of the other", async () => {
  const { asked, find } = archive(3000);
  const list = createStudyList(find);
  await settled();
  list.ask({ words: "Patient" });
  assert.ok(list.state.busy);
  list.see(1000, 1020);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual([asked.length, list.row(1000)], [1, undefined]);
  await settled();
  assert.deepEqual([list.state.busy, list.row(1000)?.patientId], [false, "1000"]);
  list.dispose();
});

test("a change of values is shown where the row stands; a change of order waits", async () => {
  const { find, change } = archive(120);
  const list = createStudyList(find);
  await settled();
  change((rows) => rows.map((one) => (one.studyUid === "1.3" ? row(3, "now described") : one)));
  list.refresh();
  await settled();
  assert.deepEqual([list.row(3)?.description, list.state.newer], ["now described", false]);
  change((rows) => [row(500), ...rows]);
  list.refresh();
  await settled();
  assert.deepEqual([list.row(0)?.patientId, list.state.newer, list.state.total], ["0", true, 120]);
  list.showNewer();
  await settled();
  assert.deepEqual([list.row(0)?.patientId, list.state.newer, list.state.total], ["500", false, 121]);
  list.dispose();
});

test("a page that does not come is said, keeps what is here, and comes when it is tried again", async () => {
  const { find } = archive(300);
  let isCut = false;
  const list = createStudyList(async (...asked) => {
    if (isCut) throw new Error("no network");
    return find(...asked);
  });
  await settled();
  isCut = true;
  list.see(200, 220);
  await settled();
  assert.ok(list.state.error);
  assert.ok(list.row(0));
  isCut = false;
  list.retry();
  await settled();
  assert.equal(list.state.error, null);
  assert.equal(list.row(210)?.patientId, "210");
  list.dispose();
});
