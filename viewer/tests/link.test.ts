import assert from "node:assert/strict";
import { test } from "node:test";
import { linkPath, readLink } from "../src/dicom/link";

test("what is written is read again", () => {
  const link = { study: "1.2.3", series: "1.2.3.4", instance: "1.2.3.4.5", frame: 7, window: { center: -600.5, width: 1500 } };
  const [path, query] = linkPath(link).split("?");
  assert.equal(path, "/view/1.2.3");
  assert.ok(query!.includes("window=-600.5,1500"));
  assert.deepEqual(readLink(path!, query!), link);
});

test("a study alone", () => {
  const nothing = { series: undefined, instance: undefined, frame: undefined, window: undefined };
  assert.equal(linkPath({ study: "1.2" }), "/view/1.2");
  assert.deepEqual(readLink("/studies/1.2/", ""), { study: "1.2", ...nothing });
  assert.equal(readLink("/", ""), undefined);
  assert.equal(readLink("/view/1.2/x", ""), undefined);
});

test("what cannot be meant is left out", () => {
  const odd = readLink("/view/1.2", "series=<script>&frame=0&window=40&instance=");
  assert.deepEqual([odd?.series, odd?.frame, odd?.window, odd?.instance], [undefined, undefined, undefined, undefined]);
  for (const window of ["40,0", "a,b", "1,2,3", ",5", "1e999,3"])
    assert.equal(readLink("/view/1.2", `window=${window}`)?.window, undefined, window);
  for (const frame of ["1.5", "-1", "x", "1e99"]) {
    const read = readLink("/view/1.2", `frame=${frame}`)?.frame;
    assert.ok(read === undefined || Number.isInteger(read), frame);
  }
});
