/** Deflated Data Sets (PS3.5 A.5), inflated within bounds. */
import { DicomError } from "./bytes";

/** Text headers deflate 5 to 20 times, a flat image some 100 times; 1,000 is what deflate can do to zeros. */
const LARGEST_RATIO = 200;
/** So much may come whatever the ratio. */
const SLACK_BYTES = 1 << 20;
/** Bytes that follow the stream and that browsers refuse: one that makes the length even, gzip's checksum and size. */
const TRAILERS = [0, 1, 8, 9];
/** It has to be held as a whole. */
const MOST_BYTES = 512 << 20;

/** All bytes from `offset` on. Throws DicomError. */
export async function inflated(file: Blob, offset: number): Promise<Uint8Array> {
  const whole = file.slice(offset);
  const bound = Math.min(MOST_BYTES, whole.size * LARGEST_RATIO + SLACK_BYTES);
  for (const trailer of TRAILERS) {
    try {
      return await run(whole.slice(0, whole.size - trailer), bound);
    } catch (error) {
      if (error instanceof DicomError) throw error;
    }
  }
  throw new DicomError("inflate", undefined, offset);
}

async function run(deflated: Blob, bound: number): Promise<Uint8Array> {
  const reader = deflated.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > bound) {
      await reader.cancel();
      throw new DicomError("inflate");
    }
    parts.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}
