/** What the file draws over its pixels: overlay planes, shutter, and padding that must stay black. */
import { Show, createEffect, createMemo, createSignal, on, onCleanup, type JSX } from "solid-js";
import { bytesOf } from "../api/bulk";
import { isLocal } from "../api/localfiles";
import { coveredBy, overlayMask, overlaysOf, paint, shutterOf, type Mask } from "../dicom/planes";
import type { Rgb } from "../dicom/cielab";
import { t } from "../i18n/study";
import type { Cell } from "../render/cell";
import type { ShownView, View } from "../render/view";

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];

interface Layer {
  readonly mask: Mask;
  readonly color: Rgb;
}

export function PlaneLayer(props: { readonly cell: Cell }): JSX.Element {
  let canvas: HTMLCanvasElement | undefined;
  const [isDrawn, setDrawn] = createSignal(false);
  const [isMissing, setMissing] = createSignal(false);
  /** The image whose planes are drawn; a picture that the server made has them in it. */
  const image = createMemo(() => {
    const shown = props.cell.shown();
    return shown && isDrawnOver(shown) ? shown : null;
  }, null, { equals: (a, b) => a?.instance === b?.instance && a?.frameNumber === b?.frameNumber && a?.index === b?.index && a?.coming === b?.coming });

  createEffect(
    on(image, (shown) => {
      setDrawn(false);
      setMissing(false);
      const view = props.cell.view();
      if (!shown || !view) return;
      let isLate = false;
      onCleanup(() => (isLate = true));
      void layersOf(shown, view).then((layers) => {
        if (isLate || layers.length === 0) return;
        setDrawn(true);
        if (canvas) drawLayers(canvas, layers, shown.frame);
      }, () => !isLate && setMissing(true));
    }),
  );

  const transform = () => {
    const [shown, view] = [props.cell.shown(), props.cell.view()];
    const lie = shown && view && lieOfPixels(shown, view);
    return lie ? `matrix(${lie.join(",")})` : "none";
  };

  return (
    <>
      <Show when={isDrawn()}>
        <canvas class="plane-layer" aria-hidden="true" ref={canvas} style={{ transform: transform() }} />
      </Show>
      {/* The image is seen without them; nobody should think that it has none. */}
      <Show when={isMissing()}>
        <p class="planes-missing" role="status">
          {t().overlay.planesMissing}
        </p>
      </Show>
    </>
  );
}

/** What the server makes has them in it, and of a cut nothing tells them. */
function isDrawnOver({ cut, window, reduced, instance }: ShownView): boolean {
  return !cut && window !== null && (!reduced || isLocal(instance));
}

function drawLayers(canvas: HTMLCanvasElement, layers: readonly Layer[], { rows, columns }: ShownView["frame"]): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  [canvas.width, canvas.height] = [columns, rows];
  const pixels = context.createImageData(columns, rows);
  for (const { mask, color } of layers) paint(pixels.data, mask, color);
  context.putImageData(pixels, 0, 0);
}

/** All that the file draws over the pixels of what is seen, of the size of the image; null for nothing. Fails where it cannot be had. */
export async function planesOf(shown: ShownView, view: View): Promise<HTMLCanvasElement | null> {
  const layers = !isDrawnOver(shown) ? [] : await layersOf(shown, view);
  if (layers.length === 0) return null;
  const canvas = document.createElement("canvas");
  drawLayers(canvas, layers, shown.frame);
  return canvas;
}

/** From pixels of the image to those of the element, as CSS and canvases write a matrix. */
export function lieOfPixels({ frame }: ShownView, view: View): readonly [number, number, number, number, number, number] | undefined {
  const { columns, rows } = frame;
  const corner = view.placeOfImagePoint({ x: -0.5, y: -0.5 });
  const right = view.placeOfImagePoint({ x: columns - 0.5, y: -0.5 });
  const below = view.placeOfImagePoint({ x: -0.5, y: rows - 0.5 });
  if (!corner || !right || !below) return undefined;
  return [
    (right.x - corner.x) / columns,
    (right.y - corner.y) / columns,
    (below.x - corner.x) / rows,
    (below.y - corner.y) / rows,
    corner.x,
    corner.y,
  ];
}

async function layersOf({ instance, frame, frameNumber, index, reduced }: ShownView, view: View): Promise<readonly Layer[]> {
  const { rows, columns } = frame;
  if (reduced) {
    // A picture of them would take as much as that of the image.
    if (overlaysOf(instance, frameNumber, frame).length > 0 || shutterOf(instance, frameNumber)) throw new Error("too large");
    return [];
  }
  const layers: Layer[] = [];
  if (frame.isInverse && frame.padding) {
    const pixels = view.pixels(index, true);
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
