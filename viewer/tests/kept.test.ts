import assert from "node:assert/strict";
import { test } from "node:test";
import { COLUMNS, USUAL_COLUMNS, readColumns, withMoved, withToggled } from "../src/state/columns";
import { MOST_SEARCHES, isSame, readSearches, withSaved } from "../src/state/searches";

const filter = { words: "smith", modalities: ["CT"], days: 7 };

test("columns that were kept are read as far as they are known", () => {
  assert.deepEqual(readColumns(null), USUAL_COLUMNS);
  assert.deepEqual(readColumns("id,name,nothing,id,when"), ["id", "name", "when"]);
  assert.deepEqual(readColumns("id,when"), USUAL_COLUMNS); // whose study it is must be seen
  assert.deepEqual(readColumns(COLUMNS.join(",")), COLUMNS);
});

test("a column comes last, goes, and moves among the others; the name stays", () => {
  assert.deepEqual(withToggled(["name", "when"], "id"), ["name", "when", "id"]);
  assert.deepEqual(withToggled(["name", "when", "id"], "when"), ["name", "id"]);
  assert.deepEqual(withToggled(["name", "when"], "name"), ["name", "when"]);
  assert.deepEqual(withMoved(["name", "when", "id"], "id", -1), ["name", "id", "when"]);
  assert.deepEqual(withMoved(["name", "when"], "name", -1), ["name", "when"]);
  assert.deepEqual(withMoved(["name", "when"], "sex", 1), ["name", "when"]);
});

test("searches that were kept are read as far as they are searches", () => {
  assert.deepEqual(readSearches(null), []);
  assert.deepEqual(readSearches("{broken"), []);
  assert.deepEqual(readSearches('{"a":1}'), []);
  const kept = JSON.stringify([{ name: "A", filter }, { name: "" }, null, 7, { name: "B", filter: { words: 1 } }]);
  assert.deepEqual(readSearches(kept), [{ name: "A", filter }]);
  const odd = JSON.stringify([{ name: "C", filter: { words: "", modalities: [1, "MR"], days: -3 } }]);
  assert.deepEqual(readSearches(odd), [{ name: "C", filter: { words: "", modalities: ["MR"], days: 0 } }]);
});

test("a search of a name that is there takes its place; beyond the most the oldest goes", () => {
  const two = withSaved(withSaved([], { name: "A", filter }), { name: "B", filter });
  const again = withSaved(two, { name: "A", filter: { ...filter, days: 0 } });
  assert.deepEqual(again.map(({ name, filter: { days } }) => [name, days]), [["A", 0], ["B", 7]]);
  const many = Array.from({ length: MOST_SEARCHES }, (_, at) => ({ name: String(at), filter }));
  const full = withSaved(many, { name: "new", filter });
  assert.deepEqual([full.length, full[0]!.name, full.at(-1)!.name], [MOST_SEARCHES, "1", "new"]);
});

test("searches are the same whatever the order of their modalities", () => {
  assert.ok(isSame({ words: " a ", modalities: ["MR", "CT"], days: 0 }, { words: "a", modalities: ["CT", "MR"], days: 0 }));
  assert.ok(!isSame(filter, { ...filter, days: 30 }));
});
