/** Frames as octets (PS3.18 10.4.1.1.4): one frame a request, without parts around it. */
import { EXPLICIT_LITTLE } from "../dicom/syntaxes";
import { fetched } from "./http";

/** Any stored transfer syntax. */
const AS_STORED = "application/octet-stream; transfer-syntax=*";
/** What the server makes of uncompressed frames where the link is the slowest part: HTJ2K, lossless. */
const COMPRESSED = `image/jphc; transfer-syntax=1.2.840.10008.1.2.4.201, ${AS_STORED}; q=0.5`;

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
  const response = await fetched(path, {
    headers: { Accept: wish.decoded ? DECODED : wish.compressed ? COMPRESSED : AS_STORED },
    signal: wish.signal ?? null,
    cache: wish.unchanged ? "force-cache" : "default",
    priority: wish.urgent ? "high" : "low",
  });
  const named = /transfer-syntax="?([0-9.]+)/.exec(response.headers.get("content-type") ?? "")?.[1];
  return {
    bytes: new Uint8Array(await response.arrayBuffer()),
    // What octets without a name are (PS3.18 8.7.3.5.2).
    transferSyntaxUid: named ?? EXPLICIT_LITTLE,
  };
}
