/**
 * The same picture as in a cell, in an element nobody sees: of any size, and moved without moving
 * what the person looks at. Pictures, clips and printed pages are taken from here.
 */
import type { Stack } from "../dicom/displaysets";
import type { Seen } from "../dicom/volume";
import type { Size } from "../state/exporting";
import type { FusionLook } from "../state/fusion";
import { createCell, type Cell } from "./cell";
import type { Beginning, Fit, Portrait, ShownView, View } from "./view";

/** What a twin shows. */
export interface Model {
  readonly stack: Stack;
  readonly study: string;
  readonly cut: Seen | null;
  readonly index: number;
  /** Undefined where it is looked at as it begins. */
  readonly portrait: Portrait | undefined;
  readonly beginning?: Beginning;
  /** What is laid over it. */
  readonly over?: Stack | undefined;
  readonly fusion?: FusionLook | undefined;
}

export interface Twin {
  readonly view: View;
  readonly count: number;
  /** Holds the picture, in the size that was asked for. */
  readonly canvas: HTMLCanvasElement;
  /** Pixels of the canvas for each in which the view tells places. */
  readonly dots: number;
  shown(): ShownView;
  /** Shows an image, from 0, and resolves once it is drawn. */
  draw(index?: number): Promise<void>;
  /** Of a solid thing: turned by this share of a full turn. */
  turn(share: number): void;
  dispose(): void;
}

/** Why a twin shows nothing, in the words of the cell it would be. */
export class NoTwin extends Error {
  constructor(
    message: string,
    readonly cell: Cell,
  ) {
    super(message);
  }
}

/** Fails with `NoTwin` where it cannot be shown, and with the signal's reason. */
export async function createTwin(model: Model, size: Size, fit: Fit, signal: AbortSignal): Promise<Twin> {
  const dots = devicePixelRatio || 1;
  const box = document.createElement("div");
  box.className = "twin";
  box.inert = true;
  box.style.width = `${size.width / dots}px`;
  box.style.height = `${size.height / dots}px`;
  document.body.append(box);
  const cell = createCell({ whole: true });
  const unmount = cell.mount(box);
  const dispose = () => {
    unmount();
    box.remove();
  };
  try {
    if (model.fusion) cell.setFusion(model.fusion);
    const beginning = { ...model.beginning, index: model.index };
    const showing = cell.show(model.stack, model.study, model.cut, beginning, model.over);
    await Promise.race([showing, untilAborted(signal)]);
    const view = cell.view();
    const why = cell.crash()?.message ?? cell.failure()?.message ?? cell.refusal()?.why;
    if (!view || why !== undefined) throw new NoTwin(why ?? "it is not shown", cell);
    if (model.portrait) await view.wear(model.portrait, fit);
    await view.drawn(model.cut === null ? model.index : undefined);
    signal.throwIfAborted();
    return {
      view,
      count: cell.shown()!.count,
      canvas: box.querySelector("canvas")!,
      dots,
      shown: () => cell.shown()!,
      async draw(index) {
        signal.throwIfAborted();
        await view.drawn(index);
      },
      turn: (share) => view.turnAround?.(share),
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stopped = () => reject(signal.reason as Error);
    if (signal.aborted) stopped();
    signal.addEventListener("abort", stopped, { once: true });
  });
}
