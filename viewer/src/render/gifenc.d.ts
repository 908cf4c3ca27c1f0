/** The parts of gifenc in use; it brings no types. */
declare module "gifenc" {
  type Colour = readonly [red: number, green: number, blue: number];
  interface FrameOptions {
    readonly palette: readonly Colour[];
    /** In ms. */
    readonly delay: number;
  }
  interface Encoder {
    readonly stream: { reset(): void };
    writeFrame(indexes: Uint8Array, width: number, height: number, options: FrameOptions): void;
    finish(): void;
    /** A copy of what was written since the stream was reset. */
    bytes(): Uint8Array<ArrayBuffer>;
  }
  export function GIFEncoder(): Encoder;
  export function quantize(rgba: Uint8Array, most: number): Colour[];
  export function applyPalette(rgba: Uint8Array, palette: readonly Colour[]): Uint8Array;
}
