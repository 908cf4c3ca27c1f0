/** One cell of the stage: a viewport, what it shows now, and how it plays. */
import { createSignal } from "solid-js";
import type { Stack } from "../dicom/displaysets";
import { playsByItself } from "../dicom/hanging";
import { pointAt } from "../dicom/geometry";
import type { Vector3 } from "../dicom/model";
import type { Crop } from "../dicom/crop";
import type { NoVolume, Rendering, Seen, Slab } from "../dicom/volume";
import { FIRST_LOOK, type FusionLook } from "../state/fusion";
import type { Point } from "../tools/gestures";
import type { Progress } from "./prefetch";
import type { StackView } from "./stackview";
import type { Beginning, LoadFailure, Pose, Probed, ShownView, StackViewListener, View } from "./view";
import type { SolidView } from "./solidview";
import type { VolumeView } from "./volumeview";

/** Cornerstone is most of the viewer's code: it comes while a picture that the server made is looked at. */
const loadStackView = async () => {
  const loaded = await import("./stackview");
  isStarted = true;
  return loaded;
};
/** Its start keeps the page from drawing for a third of a second. */
let isStarted = false;
/** So long a picture may take that would be drawn before. */
const PICTURE_MS = 1000;
const loadVolumeView = () => import("./volumeview");
const loadSolidView = () => import("./solidview");

/** Whoever asks for less motion starts clips by hand. */
const LESS_MOTION = matchMedia("(prefers-reduced-motion: reduce)");

interface Wanted {
  readonly stack: Stack;
  readonly study: string;
  readonly cut: Seen | null;
  readonly beginning: Beginning | undefined;
  /** What is laid over a cut. */
  readonly over: Stack | undefined;
}

/** So long it is said that something was drawn anew. */
const SAID_MS = 10_000;
/** How far images have come is told so often: where the processor draws, each step of the bar holds them up. */
const TOLD_EVERY_MS = 250;
/** Graphics that give up more often are of no use. */
const MOST_LOSSES = 3;

export type Cell = ReturnType<typeof createCell>;

/** Does what a hand does to a picture; what follows soon after something else of the same burst goes on with it. */
export type Act = (change: () => void, burst?: string) => void;

interface CellOptions {
  /** Shows nothing before all of it has come, and so nothing that becomes another picture by itself. */
  readonly whole?: boolean;
  readonly act?: Act;
}

export function createCell({ whole = false, act = (change) => change() }: CellOptions = {}) {
  const [shown, setShown] = createSignal<ShownView | null>(null);
  const [progress, setProgress] = createSignal<Progress | null>(null);
  const [failure, setFailure] = createSignal<LoadFailure | null>(null);
  const [crash, setCrash] = createSignal<Error | null>(null);
  const [rate, setRate] = createSignal<number | null>(null);
  const [probed, setProbed] = createSignal<Probed | null>(null);
  const [element, setElement] = createSignal<HTMLDivElement | null>(null);
  const [isRecovered, setRecovered] = createSignal(false);
  const [refusal, setRefusal] = createSignal<NoVolume | null>(null);
  let view: View | undefined;
  let volume: VolumeView | undefined;
  let solid: SolidView | undefined;
  let showNow: (() => Promise<unknown>) | undefined;
  let kind: "stack" | "volume" | "solid" | undefined;
  let loading: Promise<void> | undefined;
  let pictured: Promise<unknown> | undefined;
  let now: Wanted | undefined;
  let losses = 0;
  let toldAt = 0;
  let fusion: FusionLook = FIRST_LOOK;

  const listener: StackViewListener = {
    onView(next) {
      setFailure(null);
      setShown(next);
    },
    onProgress(next) {
      const now = performance.now();
      if (progress() && next.loaded < next.total && now - toldAt < TOLD_EVERY_MS) return;
      toldAt = now;
      setProgress(next);
    },
    onFailure(next) {
      leaveVolume();
      setFailure(next);
    },
    onRefusal(next) {
      leaveVolume();
      setRefusal(next);
    },
    onLost(index) {
      const before = now && shown();
      leave();
      losses += 1;
      if (whole || losses > MOST_LOSSES) return void setCrash(new Error("the graphics of this device gave up"));
      if (!now) return;
      const { stack, study, cut, beginning, over } = now;
      // What is left of the engine goes first.
      queueMicrotask(() => void show(stack, study, cut, before ? { ...asBefore(before), ...(index !== undefined && { index, point: undefined }) } : beginning, over).then(recovered));
    },
  };

  function recovered(): void {
    setRecovered(true);
    setTimeout(() => setRecovered(false), SAID_MS);
  }

  /** A volume is seen whole or not at all; of a stack, one image may be missing. */
  function leaveVolume(): void {
    if (kind === "stack") return;
    setProgress(null);
    setShown(null);
  }

  /** Resolves when it is shown, or says why it is not. */
  async function show(
    stack: Stack | undefined,
    study: string,
    cut: Seen | null,
    beginning?: Beginning,
    over?: Stack,
  ): Promise<void> {
    setProgress(null);
    setFailure(null);
    setRefusal(null);
    setRecovered(false);
    setShown(null);
    setProbed(null);
    now = stack && { stack, study, cut, beginning, over };
    if (!stack) return view?.stop();
    const wantedKind = cut === "solid" ? cut : cut ? "volume" : "stack";
    if (kind !== wantedKind) {
      leave();
      kind = wantedKind;
    }
    loading ??= begun().then(STARTS[wantedKind]);
    await loading.then(() => showNow?.()).catch((error: unknown) => setCrash(error as Error));
  }

  async function begun(): Promise<void> {
    if (isStarted || !pictured) return;
    await Promise.race([pictured, new Promise((resolve) => setTimeout(resolve, PICTURE_MS))]);
  }

  /** Lets go of the viewport; another kind may take its place in the same element. */
  function leave(): void {
    view?.dispose();
    [view, volume, solid] = [undefined, undefined, undefined];
    [showNow, loading, kind] = [undefined, undefined, undefined];
  }

  function play(framesPerSecond: number): void {
    view?.play(framesPerSecond, () => setRate(null));
    setRate(framesPerSecond);
  }

  async function startStack(): Promise<void> {
    const { createStackView } = await loadStackView();
    const box = element();
    if (!box || kind !== "stack" || view) return;
    const made: StackView = createStackView(box, listener);
    view = acting(made, act);
    showNow = async () => {
      const wanted = now;
      if (!wanted) return;
      await made.show(wanted.stack, wanted.study, wanted.beginning);
      const rate = wanted.beginning?.index === undefined ? playsByItself(wanted.stack) : undefined;
      if (rate && wanted === now && !LESS_MOTION.matches) play(rate);
    };
  }

  async function startVolume(): Promise<void> {
    const { createVolumeView } = await loadVolumeView();
    const box = element();
    if (!box || kind !== "volume" || view) return;
    const made: VolumeView = createVolumeView(box, listener, whole);
    made.setFusion(fusion);
    [view, volume] = [acting(made, act), made];
    showNow = async () => {
      const wanted = now;
      if (!wanted?.cut || wanted.cut === "solid") return;
      await made.show(wanted.stack, wanted.study, wanted.cut, wanted.beginning);
      if (wanted.over && wanted === now) await made.lay(wanted.over, wanted.study);
    };
  }

  async function startSolid(): Promise<void> {
    const { createSolidView } = await loadSolidView();
    const box = element();
    if (!box || kind !== "solid" || view) return;
    const made: SolidView = createSolidView(box, listener);
    [view, solid] = [acting(made, act), made];
    showNow = async () => now && made.show(now.stack, now.study, now.beginning);
  }

  const STARTS = { stack: startStack, volume: startVolume, solid: startSolid } as const;

  return {
    shown,
    progress,
    failure,
    refusal,
    crash,
    rate,
    probed,
    /** The graphics gave up meanwhile, and it was drawn anew. */
    isRecovered,
    element,
    /** What it shows, or is about to show. */
    stack: () => now?.stack,
    /** Undefined before it is mounted, and where the browser could not start it. */
    view: () => view,
    setRendering: (rendering: Rendering) => act(() => solid?.setRendering(rendering)),
    setSlab: (slab: Slab | null) => act(() => volume?.setSlab(slab)),
    setCrop: (crop: Crop) => act(() => solid?.setCrop(crop), "crop"),
    setFusion(look: FusionLook): void {
      fusion = look;
      volume?.setFusion(look);
    },
    /** Turns the plane that is cut along; see `VolumeView`. */
    turnPlane: (axis: Vector3, pivot: Vector3, angle: number) => act(() => volume?.turnPlane(axis, pivot, angle), "turn"),
    /** How it is held, or will be once it is shown. */
    pose: (): Pose | undefined => (shown() ? view?.pose() : now?.beginning?.pose),
    hold(pose: Pose): void {
      if (shown()) view?.hold(pose);
      else if (now && now.beginning?.pose !== pose) void show(now.stack, now.study, now.cut, { ...now.beginning, index: pose.index, pose }, now.over);
    },
    /** A picture of what is shown next; nothing is started before it is drawn, or cannot be had. */
    pictureFirst(drawn: Promise<unknown>): void {
      pictured = drawn;
    },
    /** Takes an element of the page; the result lets go of it. */
    mount(box: HTMLDivElement): () => void {
      setElement(box);
      return () => {
        leave();
        now = undefined;
        setElement(null);
      };
    },
    show,
    retry(): void {
      const missing = failure();
      if (kind === "stack" && view && missing && shown()) {
        setFailure(null);
        view.goTo(missing.index);
        return;
      }
      if (now) void show(now.stack, now.study, now.cut, now.beginning, now.over);
    },
    play,
    hover(at: Point | null): void {
      setProbed((at && view?.probe(at)) ?? null);
    },
  };
}

/** The same view, for hands: what they change is told as something that was done. */
function acting(view: View, act: Act): View {
  return {
    ...view,
    setWindow: (window) => act(() => view.setWindow(window)),
    dragWindow: (delta) => act(() => view.dragWindow(delta), "window"),
    pan: (delta) => act(() => view.pan(delta), "pan"),
    zoom: (factor, around) => act(() => view.zoom(factor, around), "zoom"),
    ...(view.turn && { turn: (delta: Point) => act(() => view.turn!(delta), "turn") }),
    ...(view.subtract && { subtract: () => act(() => view.subtract!()) }),
    fit: () => act(() => view.fit()),
    rotate: () => act(() => view.rotate()),
    flip: () => act(() => view.flip()),
    invert: () => act(() => view.invert()),
    reset: () => act(() => view.reset()),
  };
}

/** The same images again. */
function asBefore(view: ShownView): Beginning {
  const place = view.cut ? { point: centreOf(view) } : { index: view.index };
  return { ...place, window: view.window ?? undefined, inverted: view.inverted };
}

/** The middle of what a cell shows, in the patient. */
export function centreOf(view: ShownView): Vector3 | undefined {
  const { plane } = view;
  return plane && pointAt(plane, (plane.columns - 1) / 2, (plane.rows - 1) / 2);
}
