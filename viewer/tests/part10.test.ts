import assert from "node:assert/strict";
import { test } from "node:test";
import { DicomError, sourceOf, windowed, type Unreadable } from "../src/dicom/bytes";
import { inflated } from "../src/dicom/inflate";
import { readLocalReference, writeLocalReference } from "../src/dicom/localref";
import { items, number, personName, text, type DicomObject } from "../src/dicom/model";
import { filesListed, readDataSet, readMeta, requireNames } from "../src/dicom/part10";
import { NAMES, SEQUENCE_END, UNDEFINED, ascii, bare, element, file, item, le16, le32, openItem, type Bytes } from "./bytes";

function read(bytes: Uint8Array, only?: ReadonlySet<string>): DicomObject {
  const source = windowed(bytes.length, (offset, end) => bytes.slice(offset, end));
  const meta = readMeta(source);
  return readDataSet(source, meta, meta.dataSetOffset, { refer: (offset, length) => `${offset}+${length ?? "u"}`, only });
}

function refused(bytes: Uint8Array, why: Unreadable, tag?: string): void {
  try {
    requireNames(read(bytes));
  } catch (error) {
    assert.ok(error instanceof DicomError, String(error));
    assert.equal(error.why, why);
    if (tag) assert.equal(error.tag, tag);
    return;
  }
  assert.ok(false, `${why} was not refused`);
}

test("values are those of the DICOM JSON model", () => {
  const object = read(
    file([
      ...element("00080008", "CS", "ORIGINAL\\PRIMARY"),
      ...element("00100010", "PN", "Doe^Jane=x="),
      ...element("00181151", "IS", "12\\x\\"),
      ...element("00280010", "US", le16(512)),
      ...element("00281050", "DS", "40.5\\-1e2"),
      ...element("00281055", "LO", ""),
    ]),
  );
  assert.deepEqual(object["00080008"], { vr: "CS", Value: ["ORIGINAL", "PRIMARY"] });
  assert.deepEqual(object["00100010"], { vr: "PN", Value: [{ Alphabetic: "Doe^Jane", Ideographic: "x" }] });
  assert.deepEqual(object["00181151"], { vr: "IS", Value: [12, "x", null] });
  assert.deepEqual(object["00280010"], { vr: "US", Value: [512] });
  assert.deepEqual(object["00281050"], { vr: "DS", Value: [40.5, -100] });
  assert.deepEqual(object["00281055"], { vr: "LO" });
  assert.equal(text(object, "00083002"), "1.2.840.10008.1.2.1");
});

const nested = (end: Bytes): Bytes => [...element("00080104", "LO", "inside"), ...end];

test("sequences of defined and of undefined length, empty ones too, hold the same", () => {
  for (const value of [
    element("00082218", "SQ", item(nested([]))),
    element("00082218", "SQ", [...openItem(nested([])), ...SEQUENCE_END], UNDEFINED),
    element("00082218", "UN", [...bare("FFFEE000", bare("00080104", "inside"), UNDEFINED), ...bare("FFFEE00D", []), ...SEQUENCE_END], UNDEFINED),
  ]) {
    const object = read(file([...value, ...element("00100020", "LO", "after")]));
    assert.equal(text(items(object, "00082218")[0], "00080104"), "inside");
    assert.equal(text(object, "00100020"), "after");
  }
  assert.deepEqual(read(file(element("00082218", "SQ", SEQUENCE_END, UNDEFINED)))["00082218"], { vr: "SQ", Value: [] });
});

test("implicit VR takes VRs from the dictionary, and from Pixel Representation", () => {
  const signed = read(file([...bare("00100010", "A^B"), ...bare("00280103", le16(1)), ...bare("00280106", le16(0xffff))], "1.2.840.10008.1.2"));
  assert.deepEqual(signed["00280106"], { vr: "SS", Value: [-1] });
  assert.equal(personName(signed, "00100010"), "A^B");
  const unsigned = read(file([...bare("00280103", le16(0)), ...bare("00280106", le16(0xffff))], "1.2.840.10008.1.2"));
  assert.deepEqual(unsigned["00280106"], { vr: "US", Value: [0xffff] });
});

test("big endian is read, and a file says otherwise than it is", () => {
  const big = [0x00, 0x28, 0x00, 0x10, ...ascii("US"), 0, 2, 0x02, 0x00];
  assert.equal(number(read(file(big, "1.2.840.10008.1.2.2")), "00280010"), 512);
  assert.equal(number(read(file(element("00280010", "US", le16(7)), "1.2.840.10008.1.2")), "00280010"), 7);
});

test("files without preamble, or without meta information, are DICOM too; others are none", () => {
  const whole = file(NAMES);
  assert.equal(text(read(whole.slice(128)), "0020000D"), "1.2.3");
  assert.equal(text(read(whole.slice(132)), "0020000D"), "1.2.3");
  assert.equal(text(read(Uint8Array.from(NAMES)), "0020000D"), "1.2.3");
  assert.equal(text(read(Uint8Array.from([...bare("00080018", "1.2.3.4"), ...bare("0020000D", "1.2.3 ")])), "0020000D"), "1.2.3");
  refused(Uint8Array.from(ascii("A letter, and no image at all.".repeat(20))), "notDicom");
  refused(Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, ...new Array<number>(400).fill(7)]), "notDicom");
  refused(new Uint8Array(0), "notDicom");
  refused(new Uint8Array(1000), "notDicom");
});

test("character sets: single-byte, UTF-8, and escapes of ISO 2022", () => {
  const name = (charset: string, value: Bytes) =>
    personName(read(file([...element("00080005", "CS", charset), ...element("00100010", "PN", [...value, ...(value.length % 2 ? [0x20] : [])])])), "00100010");
  assert.equal(name("ISO_IR 100", ascii("Buc^J\xe9r\xf4me")), "Buc^Jérôme");
  assert.equal(name("ISO_IR 144", [0xbb, 0xee, 0xda, 0xe1]), "Люкс");
  assert.equal(name("ISO_IR 192", [...new TextEncoder().encode("Wang^XiaoDong=王^小东")]), "Wang^XiaoDong=王^小东");
  assert.equal(name("GB18030", [0xcd, 0xf5, 0x5e, 0xd0, 0xa1, 0xb6, 0xab]), "王^小东");
  const kanji = [...ascii("Yamada^Tarou="), 0x1b, 0x24, 0x42, 0x3b, 0x33, 0x45, 0x44, 0x1b, 0x28, 0x42, 0x5e, 0x1b, 0x24, 0x42, 0x42, 0x40, 0x4f, 0x3a, 0x1b, 0x28, 0x42];
  assert.equal(name("\\ISO 2022 IR 87", kanji), "Yamada^Tarou=山田^太郎");
  const hangul = [...ascii("Hong^Gildong="), 0x1b, 0x24, 0x29, 0x43, 0xfb, 0xf3, 0x5e, 0x1b, 0x24, 0x29, 0x43, 0xd1, 0xce, 0xd4, 0xd7];
  assert.equal(name("\\ISO 2022 IR 149", hangul), "Hong^Gildong=洪^吉洞");
});

test("an Item has the character set around it, or its own", () => {
  const inside = (own: Bytes) => file([...element("00080005", "CS", "ISO_IR 100"), ...element("00082218", "SQ", item([...own, ...element("00080104", "LO", [0xe9, 0x20])]))]);
  assert.equal(text(items(read(inside([])), "00082218")[0], "00080104"), "é");
  assert.equal(text(items(read(inside(element("00080005", "CS", "ISO_IR 144"))), "00082218")[0], "00080104"), "щ");
});

test("bulk data stays where it is, short binary comes along, and reading ends at the pixels", () => {
  const object = read(file([...element("00420011", "OB", new Array<number>(2000).fill(1)), ...element("00081190", "OB", [1, 2]), ...element("7FE00010", "OW", new Array<number>(8).fill(0)), ...element("FFFCFFFC", "OB", [0, 0])]));
  assert.ok(/^\d+\+2000$/.test(object["00420011"]!.BulkDataURI!));
  assert.equal(object["00081190"]!.InlineBinary, "AQI=");
  assert.ok(/^\d+\+8$/.test(object["7FE00010"]!.BulkDataURI!));
  assert.equal(object["FFFCFFFC"], undefined);
  const packed = read(file([...element("7FE00010", "OB", [...item([]), ...item([1, 2]), ...SEQUENCE_END], UNDEFINED)]));
  assert.ok(/^\d+\+u$/.test(packed["7FE00010"]!.BulkDataURI!));
});

test("only what is asked for is kept, whatever is nested in between", () => {
  const object = read(file([...element("00082218", "SQ", [...openItem(nested([])), ...SEQUENCE_END], UNDEFINED), ...element("00100020", "LO", "P1")]), new Set(["00100020"]));
  assert.equal(text(object, "00100020"), "P1");
  assert.equal(object["00082218"], undefined);
});

test("what is cut, broken or beyond sense is refused with its element", () => {
  const long = file([...NAMES, ...element("00204000", "LT", "words")]);
  refused(long.slice(0, -3), "cut", "00204000");
  refused(file([...NAMES, ...element("7FE00010", "OW", [0, 0], 1 << 30)]), "cut", "7FE00010");
  refused(file([...element("00082218", "SQ", openItem([]), UNDEFINED)]), "cut");
  refused(file([...element("00082218", "SQ", bare("00100010", "xx"))]), "broken", "00082218");
  refused(file(element("00080008", "CS", "ORIGINAL")), "nameless", "0020000D");
  let deep: Bytes = [];
  for (let level = 0; level < 100; level += 1) deep = element("00082218", "SQ", item(deep));
  refused(file(deep), "bound", "00082218");
  let open: Bytes = [];
  for (let level = 0; level < 100; level += 1) open = [...element("00082218", "SQ", [...openItem(open), ...SEQUENCE_END], UNDEFINED)];
  refused(file(open), "bound", "00082218");
  const many = new Uint8Array(8 * 600_000);
  for (let at = 0; at < many.length; at += 8) many.set([0xfe, 0xff, 0x00, 0xe0], at);
  const head = file(element("00082218", "SQ", [], many.length));
  const flood = new Uint8Array(head.length + many.length);
  flood.set(head);
  flood.set(many, head.length);
  refused(flood, "bound", "00082218");
});

test("a DICOMDIR is known as one, and tells its files in its order", () => {
  const record = (id: string) => item(element("00041500", "CS", id));
  const meta = element("00020002", "UI", "1.2.840.10008.1.3.10");
  const bytes = file([...element("00041220", "SQ", [...item([]), ...record("IMG\\B"), ...record("IMG\\A")])]);
  assert.deepEqual(filesListed(sourceOf(bytes)), ["IMG/B", "IMG/A"]);
  const marked = Uint8Array.from([...bytes.slice(0, 132), ...meta, ...bytes.slice(144)]);
  refused(marked, "directory");
});

test("references to what is left out are read as they are written, and nothing else is one", () => {
  for (const reference of [
    { file: 3, offset: 1234, length: 5678, deflatedFrom: undefined },
    { file: 3, offset: 1234, length: undefined, deflatedFrom: 340 },
  ])
    assert.deepEqual(readLocalReference(writeLocalReference(reference)), reference);
  for (const uri of [undefined, "", "local:", "local:1/2", "/dicom-web/studies/1", "local:1/2/-3", "local:1/2/3/4"])
    assert.equal(readLocalReference(uri), undefined);
});

async function deflated(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

test("deflated content is inflated, with a byte too many as well, and within a bound", async () => {
  const whole = Uint8Array.from({ length: 5000 }, (_, at) => at % 251);
  const packed = await deflated(whole);
  assert.deepEqual([...(await inflated(new Blob([packed as BlobPart]), 0))], [...whole]);
  assert.deepEqual([...(await inflated(new Blob([packed as BlobPart, Uint8Array.of(0)]), 0))], [...whole]);
  const bomb = await deflated(new Uint8Array(64 << 20));
  await assert.rejects(inflated(new Blob([bomb as BlobPart]), 0));
  await assert.rejects(inflated(new Blob([Uint8Array.of(7, 7, 7, 7)]), 0));
});

/** Numbers that are the same in every run (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

test("cut and changed bytes give an object or the one error, and never anything else", () => {
  const seeds = [
    file([...element("00080005", "CS", "\\ISO 2022 IR 87"), ...NAMES, ...element("00082218", "SQ", [...openItem(nested([])), ...SEQUENCE_END], UNDEFINED), ...element("00100010", "PN", "A^B=\x1b$B;3ED\x1b(B"), ...element("7FE00010", "OB", [...item([]), ...item([1, 2]), ...SEQUENCE_END], UNDEFINED)]),
    file([...bare("00080018", "1.2.3.4"), ...bare("00082218", item(bare("00080104", "in"))), ...bare("0020000D", "1.2.3"), ...bare("00280103", le16(1)), ...bare("00281201", new Array<number>(40).fill(3))], "1.2.840.10008.1.2"),
    file([0, 8, 0, 0x18, ...ascii("UI"), 0, 2, 0x31, 0, 0, 0x28, 0, 0x10, ...ascii("US"), 0, 2, 2, 0], "1.2.840.10008.1.2.2"),
  ];
  let objects = 0;
  let errors = 0;
  for (const [index, seed] of seeds.entries()) {
    const next = random(index + 1);
    for (let round = 0; round < 4000; round += 1) {
      const bytes = seed.slice(0, next() < 0.3 ? Math.floor(next() * seed.length) : seed.length);
      for (let changes = 1 + Math.floor(next() * 4); changes > 0 && bytes.length > 0; changes -= 1)
        bytes[Math.floor(next() * bytes.length)] = next() < 0.3 ? 0xff : Math.floor(next() * 256);
      try {
        read(bytes);
        filesListed(sourceOf(bytes));
        objects += 1;
      } catch (error) {
        assert.ok(error instanceof DicomError, `seed ${index}, round ${round}: ${String(error)} ${(error as Error).stack ?? ""}`);
        errors += 1;
      }
    }
  }
  assert.ok(objects > 1000 && errors > 1000, `${objects} objects, ${errors} errors`);
});

test("a length of any size is never allocated", () => {
  for (const length of [0x7fffffff, 0xfffffffe]) refused(file([...NAMES, ...element("00420011", "OB", le32(0), length)]), "cut", "00420011");
});
