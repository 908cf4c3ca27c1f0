/** Frames as octets (PS3.18 10.4.1.1.4): one frame a request, without parts around it. */
import { whyNotGiven } from "../dicom/allocation";
import { EXPLICIT_LITTLE } from "../dicom/syntaxes";
import { fetched } from "./http";

/** Any stored transfer syntax. */
const AS_STORED = "application/octet-stream; transfer-syntax=*";
/**
 * Where the link is the slowest part: the picture format in which it is stored, and of uncompressed frames what the
 * server makes first of them, which is HTJ2K, lossless, the picture in small at its beginning.
 */
const COMPRESSED = `image/*; transfer-syntax=*, ${AS_STORED}; q=0.5`;

/** Uncompressed, decoded by the server where it is stored otherwise. */
const DECODED = `application/octet-stream; transfer-syntax=${EXPLICIT_LITTLE}`;

export interface FrameBytes {
  readonly bytes: Uint8Array;
  readonly transferSyntaxUid: string;
}

export interface FrameWish {
  /** Losslessly compressed where it is not stored so. */
  readonly compressed: boolean;
  /** Uncompressed, whatever it is stored as. */
  readonly decoded?: boolean;
  /** It has not changed since the browser's cache got it, so that nobody need be asked. */
  readonly unchanged: boolean;
  /** Somebody waits for it. */
  readonly urgent: boolean;
  readonly signal?: AbortSignal | undefined;
}

export async function fetchFrame(path: string, wish: FrameWish): Promise<FrameBytes> {
  return await frameIn(await asked(path, wish));
}

/** The first bytes of a frame. */
export interface FrameBeginning extends FrameBytes {
  /** How many bytes the frame has. */
  readonly total: number;
  /** Names the frame that these are bytes of. */
  readonly tag: string | null;
}

/** The first `length` bytes; all of them where there are no more, or the server gives no part. */
export async function fetchFrameBeginning(path: string, wish: FrameWish, length: number): Promise<FrameBeginning> {
  const response = await asked(path, wish, `bytes=0-${length - 1}`);
  const frame = await frameIn(response);
  const total = response.status === PARTIAL ? rangeOf(response)?.total : undefined;
  return { ...frame, total: total ?? frame.bytes.length, tag: response.headers.get("etag") };
}

/** The whole frame; only what is missing is fetched, unless there is another frame by now. */
export async function fetchFrameRest(path: string, wish: FrameWish, begun: FrameBeginning): Promise<FrameBytes> {
  const { bytes, total, tag } = begun;
  if (bytes.length >= total) return begun;
  const response = await asked(path, wish, `bytes=${bytes.length}-${total - 1}`);
  const rest = await frameIn(response);
  if (response.status !== PARTIAL) return rest;
  const range = rangeOf(response);
  const isSame = tag !== null && response.headers.get("etag") === tag && range?.from === bytes.length && range.total === total;
  if (!isSame || bytes.length + rest.bytes.length !== total) return await fetchFrame(path, { ...wish, unchanged: false });
  const whole = new Uint8Array(total);
  whole.set(bytes);
  whole.set(rest.bytes, bytes.length);
  return { bytes: whole, transferSyntaxUid: begun.transferSyntaxUid };
}

const PARTIAL = 206;

function rangeOf(response: Response): { readonly from: number; readonly total: number } | undefined {
  const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
  return from === undefined ? undefined : { from: Number(from), total: Number(total) };
}

async function asked(path: string, wish: FrameWish, range?: string): Promise<Response> {
  return await fetched(path, {
    headers: { Accept: wish.decoded ? DECODED : wish.compressed ? COMPRESSED : AS_STORED, ...(range && { Range: range }) },
    signal: wish.signal ?? null,
    cache: wish.unchanged ? "force-cache" : "default",
    priority: wish.urgent ? "high" : "low",
  });
}

async function frameIn(response: Response): Promise<FrameBytes> {
  const named = /transfer-syntax="?([0-9.]+)/.exec(response.headers.get("content-type") ?? "")?.[1];
  return {
    bytes: await bytesOf(response),
    // What octets without a name are (PS3.18 8.7.3.5.2).
    transferSyntaxUid: named ?? EXPLICIT_LITTLE,
  };
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw whyNotGiven(Number(response.headers.get("content-length")), error);
  }
}
