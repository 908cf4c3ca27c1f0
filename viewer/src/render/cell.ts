/** One cell of the stage: a viewport, what it shows now, and how it plays. */
import { createSignal } from "solid-js";
import type { Stack } from "../dicom/displaysets";
import { pointAt } from "../dicom/geometry";
import type { Vector3 } from "../dicom/model";
import type { Point } from "../tools/gestures";
import type { Progress } from "./prefetch";
import {
  createStackView,
  type Beginning,
  type LoadFailure,
  type Probed,
  type ShownView,
  type StackView,
} from "./stackview";

export type Cell = ReturnType<typeof createCell>;

export function createCell() {
  const [shown, setShown] = createSignal<ShownView | null>(null);
  const [progress, setProgress] = createSignal<Progress | null>(null);
  const [failure, setFailure] = createSignal<LoadFailure | null>(null);
  const [crash, setCrash] = createSignal<Error | null>(null);
  const [rate, setRate] = createSignal<number | null>(null);
  const [probed, setProbed] = createSignal<Probed | null>(null);
  const [element, setElement] = createSignal<HTMLDivElement | null>(null);
  let view: StackView | undefined;
  let now: { readonly stack: Stack; readonly study: string } | undefined;

  function show(stack: Stack | undefined, study: string, beginning?: Beginning): void {
    setProgress(null);
    setFailure(null);
    setShown(null);
    setProbed(null);
    now = stack && { stack, study };
    if (!stack) return view?.stop();
    view?.show(stack, study, beginning).catch((error: unknown) => setCrash(error as Error));
  }

  return {
    shown,
    progress,
    failure,
    crash,
    rate,
    probed,
    element,
    /** Undefined before it is mounted, and where the browser could not start it. */
    view: () => view,
    /** Takes an element of the page; the result lets go of it. */
    mount(box: HTMLDivElement): () => void {
      try {
        view = createStackView(box, {
          onView(next) {
            setFailure(null);
            setShown(next);
          },
          onProgress: setProgress,
          onFailure: setFailure,
        });
      } catch (error) {
        setCrash(error as Error);
      }
      setElement(box);
      return () => {
        view?.dispose();
        view = undefined;
        setElement(null);
      };
    },
    show,
    retry(): void {
      if (now) show(now.stack, now.study);
    },
    play(framesPerSecond: number): void {
      view?.play(framesPerSecond, () => setRate(null));
      setRate(framesPerSecond);
    },
    hover(at: Point | null): void {
      setProbed((at && view?.probe(at)) ?? null);
    },
  };
}

/** The middle of what a cell shows, in the patient. */
export function centreOf(view: ShownView): Vector3 | undefined {
  const { plane } = view;
  return plane && pointAt(plane, (plane.columns - 1) / 2, (plane.rows - 1) / 2);
}
