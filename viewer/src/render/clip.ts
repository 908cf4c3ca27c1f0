/**
 * Pictures one after the other into a file: MP4 by the browser's own encoder where it has one, GIF
 * in a worker. Each picture is encoded before the next is drawn; only what is encoded is kept.
 */
import { CanvasSource, Mp4OutputFormat, Output, BufferTarget, QUALITY_HIGH, canEncodeVideo, type VideoCodec } from "mediabunny";
import { hundredths, type Size } from "../state/exporting";
import type { FromGifWorker, ToGifWorker } from "./gif-worker";

export const KINDS = ["mp4", "gif"] as const;

export type ClipKind = (typeof KINDS)[number];

/** By how many programs play them. */
const CODECS = ["avc", "vp9", "av1"] as const satisfies readonly VideoCodec[];

export type ClipCodec = (typeof CODECS)[number];

/** Why there is no MP4: browsers encode on https and localhost only, and not all of them do. */
export type NoVideo = "insecure" | "unable";

export async function codecFor(size: Size): Promise<ClipCodec | NoVideo> {
  if (!isSecureContext) return "insecure";
  if (typeof VideoEncoder === "undefined") return "unable";
  for (const codec of CODECS) if (await canEncodeVideo(codec, { ...size, quality: QUALITY_HIGH })) return codec;
  return "unable";
}

export function isCodec(found: ClipCodec | NoVideo): found is ClipCodec {
  return (CODECS as readonly string[]).includes(found);
}

export interface ClipWriter {
  /** Takes what the canvas holds now. */
  add(): Promise<void>;
  finish(): Promise<Blob>;
  /** Lets go of everything; nothing comes of it. */
  cancel(): void;
}

/** A key frame every so many seconds, so that players jump quickly. */
const KEY_FRAMES_S = 1;

export async function mp4Writer(canvas: HTMLCanvasElement, codec: ClipCodec, framesPerSecond: number): Promise<ClipWriter> {
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat(), target });
  const source = new CanvasSource(canvas, { codec, quality: QUALITY_HIGH, keyFrameInterval: KEY_FRAMES_S });
  output.addVideoTrack(source, { frameRate: framesPerSecond });
  await output.start();
  let count = 0;
  return {
    async add() {
      await source.add(count / framesPerSecond, 1 / framesPerSecond);
      count += 1;
    },
    async finish() {
      await output.finalize();
      return new Blob([target.buffer!], { type: "video/mp4" });
    },
    cancel: () => void output.cancel(),
  };
}

export function gifWriter(canvas: HTMLCanvasElement, framesPerSecond: number): ClipWriter {
  const worker = new Worker(new URL("./gif-worker.ts", import.meta.url), { type: "module" });
  const { width, height } = canvas;
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  if (!brush) throw new Error("this browser gives no 2D canvas");
  const parts: Blob[] = [];
  let count = 0;
  let refuse: ((reason: Error) => void) | undefined;
  const ask = (message: ToGifWorker, moved: Transferable[] = []) =>
    new Promise<void>((resolve, reject) => {
      refuse = reject;
      worker.onmessage = ({ data }: MessageEvent<FromGifWorker>) => {
        // Browsers may keep blobs out of memory.
        parts.push(new Blob([data.bytes]));
        resolve();
      };
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(message, moved);
    });
  return {
    async add() {
      const { data } = brush.getImageData(0, 0, width, height);
      const delay = hundredths(count, framesPerSecond);
      count += 1;
      await ask({ kind: "picture", rgba: data.buffer as ArrayBuffer, width, height, hundredths: delay }, [data.buffer as ArrayBuffer]);
    },
    async finish() {
      await ask({ kind: "end" });
      worker.terminate();
      return new Blob(parts, { type: "image/gif" });
    },
    cancel() {
      worker.terminate();
      parts.length = 0;
      refuse?.(new DOMException("cancelled", "AbortError"));
    },
  };
}
