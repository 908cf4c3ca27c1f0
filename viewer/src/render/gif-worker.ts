/** Pictures to GIF, one after the other; each answer is what has been written since the last. */
import { GIFEncoder, applyPalette, quantize } from "gifenc";
import { indexed } from "../state/palette";

export type ToGifWorker =
  | {
      readonly kind: "picture";
      readonly rgba: ArrayBuffer;
      readonly width: number;
      readonly height: number;
      readonly hundredths: number;
    }
  | { readonly kind: "end" };

export interface FromGifWorker {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const encoder = GIFEncoder();
const MS_PER_HUNDREDTH = 10;

addEventListener("message", ({ data }: MessageEvent<ToGifWorker>) => {
  if (data.kind === "picture") {
    const { width, height, hundredths } = data;
    const { palette, indexes } = indexed(new Uint8Array(data.rgba), { quantize, applyPalette });
    encoder.writeFrame(indexes, width, height, { palette, delay: hundredths * MS_PER_HUNDREDTH });
  } else encoder.finish();
  const bytes = encoder.bytes();
  encoder.stream.reset();
  const answer: FromGifWorker = { bytes };
  postMessage(answer, { transfer: [bytes.buffer] });
});
