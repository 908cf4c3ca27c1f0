/** What the file draws over its pixels: overlay planes, shutter, and padding that must stay black. */
import { Show, createEffect, createMemo, createSignal, on, onCleanup, type JSX } from "solid-js";
import { bytesOf } from "../api/bulk";
import { coveredBy, overlayMask, overlaysOf, paint, shutterOf, type Mask } from "../dicom/planes";
import type { Rgb } from "../dicom/cielab";
import type { Cell } from "../render/cell";
import type { ShownView, View } from "../render/stackview";

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];

interface Layer {
  readonly mask: Mask;
  readonly color: Rgb;
}

export function PlaneLayer(props: { readonly cell: Cell }): JSX.Element {
  let canvas: HTMLCanvasElement | undefined;
  const [isDrawn, setDrawn] = createSignal(false);
  /** The image whose planes are drawn; a picture that the server made has them in it. */
  const image = createMemo(() => {
    const shown = props.cell.shown();
    return shown && !shown.cut && shown.window ? shown : null;
  }, null, { equals: (a, b) => a?.instance === b?.instance && a?.frameNumber === b?.frameNumber && a?.index === b?.index });

  createEffect(
    on(image, (shown) => {
      setDrawn(false);
      const view = props.cell.view();
      if (!shown || !view) return;
      let isLate = false;
      onCleanup(() => (isLate = true));
      void layersOf(shown, view).then((layers) => {
        if (isLate || layers.length === 0) return;
        setDrawn(true);
        draw(layers, shown.frame.rows, shown.frame.columns);
      }, () => undefined); // without its planes the image is still seen; the panel of attributes names them
    }),
  );

  function draw(layers: readonly Layer[], rows: number, columns: number): void {
    const context = canvas?.getContext("2d");
    if (!canvas || !context) return;
    [canvas.width, canvas.height] = [columns, rows];
    const pixels = context.createImageData(columns, rows);
    for (const { mask, color } of layers) paint(pixels.data, mask, color);
    context.putImageData(pixels, 0, 0);
  }

  /** From pixels of the image to those of the element. */
  const transform = () => {
    const shown = props.cell.shown();
    const view = props.cell.view();
    const [columns, rows] = [shown?.frame.columns ?? 1, shown?.frame.rows ?? 1];
    const corner = view?.placeOfImagePoint({ x: -0.5, y: -0.5 });
    const right = view?.placeOfImagePoint({ x: columns - 0.5, y: -0.5 });
    const below = view?.placeOfImagePoint({ x: -0.5, y: rows - 0.5 });
    if (!corner || !right || !below) return "none";
    const along = [right.x - corner.x, right.y - corner.y].map((way) => way / columns);
    const down = [below.x - corner.x, below.y - corner.y].map((way) => way / rows);
    return `matrix(${[...along, ...down, corner.x, corner.y].join(",")})`;
  };

  return (
    <Show when={isDrawn()}>
      <canvas class="plane-layer" aria-hidden="true" ref={canvas} style={{ transform: transform() }} />
    </Show>
  );
}

async function layersOf({ instance, frame, frameNumber, index }: ShownView, view: View): Promise<readonly Layer[]> {
  const { rows, columns } = frame;
  const layers: Layer[] = [];
  if (frame.isInverse && frame.padding) {
    const pixels = view.pixels(index);
    const [first, last] = frame.padding.map((value) => value * frame.rescaleSlope + frame.rescaleIntercept);
    if (pixels)
      layers.push({
        mask: Uint8Array.from(pixels.values, (held) => {
          const value = held * pixels.slope + pixels.intercept;
          return value >= Math.min(first!, last!) && value <= Math.max(first!, last!) ? 1 : 0;
        }),
        color: BLACK,
      });
  }
  const masks = new Map<number, Mask>();
  for (const plane of overlaysOf(instance, frameNumber, frame)) {
    const mask = plane.data ? overlayMask(plane, await bytesOf(plane.data), rows, columns) : view.embedded?.(plane.group);
    if (mask?.length === rows * columns) masks.set(plane.group, mask);
  }
  const shutter = shutterOf(instance, frameNumber);
  if (shutter) {
    const aspect = frame.spacingMm ? frame.spacingMm[0] / frame.spacingMm[1] : frame.pixelAspect;
    layers.push({ mask: coveredBy(shutter, rows, columns, aspect), color: shutter.color });
    const bitmap = shutter.group === undefined ? undefined : masks.get(shutter.group);
    if (bitmap) layers.push({ mask: bitmap, color: shutter.color });
    if (shutter.group !== undefined) masks.delete(shutter.group);
  }
  // Annotations follow the shutter, and are seen on it (PS3.4 N.2.3.1).
  for (const mask of masks.values()) layers.push({ mask, color: WHITE });
  return layers;
}
