/** One cell of the stage: a viewport, what it shows now, and how it plays. */
import { createSignal } from "solid-js";
import type { Stack } from "../dicom/displaysets";
import { pointAt } from "../dicom/geometry";
import type { Vector3 } from "../dicom/model";
import type { Point } from "../tools/gestures";
import type { Progress } from "./prefetch";
import type { Beginning, LoadFailure, Probed, ShownView, StackView } from "./stackview";

/** Cornerstone is most of the viewer's code: it comes while a picture that the server made is looked at. */
const loadStackView = () => import("./stackview");

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
  let loading: Promise<void> | undefined;
  let now: { readonly stack: Stack; readonly study: string; readonly beginning: Beginning | undefined } | undefined;

  function show(stack: Stack | undefined, study: string, beginning?: Beginning): void {
    setProgress(null);
    setFailure(null);
    setShown(null);
    setProbed(null);
    now = stack && { stack, study, beginning };
    if (!stack) return view?.stop();
    loading ??= start();
    void loading.then(showNow).catch((error: unknown) => setCrash(error as Error));
  }

  async function showNow(): Promise<void> {
    const wanted = now;
    if (wanted && view) await view.show(wanted.stack, wanted.study, wanted.beginning);
  }

  async function start(): Promise<void> {
    const { createStackView } = await loadStackView();
    const box = element();
    if (!box) return;
    view = createStackView(box, {
      onView(next) {
        setFailure(null);
        setShown(next);
      },
      onProgress: setProgress,
      onFailure: setFailure,
    });
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
      setElement(box);
      return () => {
        view?.dispose();
        view = undefined;
        loading = undefined;
        now = undefined;
        setElement(null);
      };
    },
    show,
    retry(): void {
      if (now) show(now.stack, now.study, now.beginning);
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
