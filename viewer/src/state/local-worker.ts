/**
 * The worker that reads files on this device: headers of the files it is given, in the order in which they come.
 *
 * It keeps nothing and speaks to nobody but the page.
 */
import { DicomError, sourceOf, windowed, type ByteSource } from "../dicom/bytes";
import { inflated } from "../dicom/inflate";
import { writeLocalReference } from "../dicom/localref";
import type { DicomObject } from "../dicom/model";
import { filesListed, readDataSet, readMeta, requireNames } from "../dicom/part10";
import { DEFLATED } from "../dicom/syntaxes";
import { SURVEYED, type NumberedFile, type Problem, type Read, type ReadAnswer, type ReadRequest } from "./localreading";

/** Of a worker's global scope, what is used here; DOM's types and its own exclude each other. */
interface Scope {
  onmessage: ((event: MessageEvent<ReadRequest>) => void) | null;
  postMessage(answer: ReadAnswer): void;
}

declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

const scope = globalThis as unknown as Scope;
const reader = new FileReaderSync();

scope.onmessage = ({ data }) => void answer(data);

async function answer({ task, files, whole }: ReadRequest): Promise<void> {
  try {
    const found: Read[] = [];
    for (const one of files) found.push(await read(one, whole));
    scope.postMessage({ task, found });
  } catch (error) {
    scope.postMessage({ task, found: [], crash: String(error) });
  }
}

async function read(one: NumberedFile, whole: boolean): Promise<Read> {
  try {
    return { number: one.number, object: await objectIn(one, whole) };
  } catch (error) {
    if (error instanceof DicomError && error.why === "directory") return listed(one);
    return { number: one.number, problem: problemOf(error) };
  }
}

function opened(file: File): ByteSource {
  return windowed(file.size, (offset, end) => new Uint8Array(reader.readAsArrayBuffer(file.slice(offset, end))));
}

/** What the list of a disc names. One that cannot be read is not needed. */
function listed({ number, file }: NumberedFile): Read {
  try {
    return { number, directory: filesListed(opened(file)) };
  } catch (error) {
    return { number, problem: problemOf(error) };
  }
}

async function objectIn({ number, file }: NumberedFile, whole: boolean): Promise<DicomObject> {
  const source = opened(file);
  const meta = readMeta(source);
  const isDeflated = meta.transferSyntaxUid === DEFLATED;
  const deflatedFrom = isDeflated ? meta.dataSetOffset : undefined;
  const content = isDeflated ? sourceOf(await inflated(file, meta.dataSetOffset)) : source;
  const object = readDataSet(content, meta, isDeflated ? 0 : meta.dataSetOffset, {
    refer: (offset, length) => writeLocalReference({ file: number, offset, length, deflatedFrom }),
    only: whole ? undefined : SURVEYED,
  });
  requireNames(object);
  return object;
}

function problemOf(error: unknown): Problem {
  if (error instanceof DicomError) return { why: error.why, tag: error.tag, offset: error.offset };
  if (error instanceof DOMException) return { why: "unreachable" }; // moved, deleted or locked meanwhile
  throw error;
}
