/** One cell of the stage: an image with its overlay, or a sheet to read, or room for one. */
import { Show, createEffect, createMemo, createSignal, on, onCleanup, onMount, type JSX } from "solid-js";
import { instancePath } from "../api/dicomweb";
import { pictureAt, renderedPicture } from "../api/renditions";
import { framesPerSecond } from "../dicom/cine";
import { firstIndex, sopInstanceUid, type DisplaySet, type Stack } from "../dicom/displaysets";
import { describeFrame } from "../dicom/frame";
import { isKind } from "../dicom/measure";
import type { Vector3 } from "../dicom/model";
import { halved } from "../dicom/reduction";
import type { Seen } from "../dicom/volume";
import { t } from "../i18n/study";
import { pictureHalvings } from "../render/budget";
import type { Cell } from "../render/cell";
import type { Beginning, ShownView } from "../render/view";
import { isLocal } from "../api/localfiles";
import { isStackKept } from "../state/keptstacks";
import type { ReportedOnes } from "../state/reported";
import type { Identity } from "../state/study";
import type { KeyHand } from "../tools/keyhand";
import { followTouches, type Point } from "../tools/gestures";
import { FINGER_REACH, MOUSE_REACH, type Measuring } from "../tools/measuring";
import { followMouse, type DragTool, type HandTool } from "../tools/mouse";
import { CineBar } from "./CineBar";
import { ErrorNote, Progress } from "./controls";
import { CropBox } from "./CropMenu";
import { CrossLines } from "./CrossLines";
import { DetailLayer } from "./DetailLayer";
import { KeyCross } from "./KeyCross";
import { Lens } from "./Lens";
import { MeasureLayer } from "./MeasureLayer";
import { Overlay } from "./Overlay";
import { PlaneLayer } from "./PlaneLayer";
import { whyNoVolume } from "./novolume";
import { Scrubber } from "./Scrubber";
import { SheetCard } from "./SheetCard";
import { sightOf } from "./sight";
import { TurnHandles } from "./TurnHandles";
import type { TurnablePlane } from "./turning";

const SLOWEST = 1;
const FASTEST = 60;

export interface StageCellProps {
  /** From 1, in reading order. */
  readonly number: number;
  readonly cell: Cell;
  readonly study: string;
  readonly set: DisplaySet | undefined;
  /** How the volume of the set is seen; null for images as they were taken. */
  readonly cut: Seen | null;
  /** What is laid over it. */
  readonly over: Stack | undefined;
  /** It is the plane of images that it is seen in place of. */
  readonly inPlace: boolean;
  /** All planes of its volume that are seen and can be turned. */
  readonly planes: readonly TurnablePlane[];
  /** The box of a solid is drawn even where it cuts nothing off. */
  readonly cropping: boolean;
  readonly beginning: Beginning | undefined;
  readonly identity: Identity | null;
  readonly active: boolean;
  /** Whether there are others, so that the active one must be told from them. */
  readonly isOne: boolean;
  /** It has all of the stage. */
  readonly fills: boolean;
  readonly hidden: boolean;
  readonly bare: boolean;
  readonly tool: DragTool;
  /** What files draw over their pixels is seen. */
  readonly overlays: boolean;
  readonly lens: boolean;
  readonly onLensClosed: () => void;
  readonly measuring: Measuring;
  readonly reported: ReportedOnes;
  readonly keyHand: KeyHand;
  readonly others: readonly ShownView[];
  readonly cursor: Vector3 | null;
  readonly onActivate: () => void;
  /** The cursor of all cells is to be where the pointer is. */
  readonly onCursor: (at: Point) => void;
  readonly onSwipe: (direction: 1 | -1) => void;
  readonly onLongPress: () => void;
  readonly onDoubleClick: () => void;
  /** A display set, or all of a series, was let fall here. */
  readonly onDrop: (dropped: string) => void;
}

export function StageCell(props: StageCellProps): JSX.Element {
  let box!: HTMLDivElement;
  const stack = (): Stack | undefined => (props.set?.kind === "stack" ? props.set : undefined);
  const shownInstance = () => {
    const shown = cell.shown();
    return shown ? sopInstanceUid(shown.instance) : undefined;
  };
  const [detail, setDetail] = createSignal<number | null>(null);
  /** Of what begins as it was held before, the server's picture would be seen in another place for a moment. */
  const hasFirstPicture = () => !props.cut && !props.beginning?.pose && !isLocal(stack()!.frames[0]!.instance);
  const sheet = () => (props.set?.kind === "sheet" ? props.set : undefined);
  const cell = props.cell;
  const drags: Readonly<Record<HandTool, (delta: Point, at: Point) => void>> = {
    window: (delta) => turned(delta) || cell.view()?.dragWindow(delta),
    pan: (delta) => cell.view()?.pan(delta),
    zoom: ({ y }) => cell.view()?.zoom(Math.exp(-y / 150)),
    scroll: (delta) => turned(delta) || dragScroll(delta.y),
    cursor: (_, at) => props.onCursor(at),
  };

  /** Measuring tools take what is pressed themselves; without an image there is nothing to do. */
  const handTool = (): HandTool => (isKind(props.tool) ? "pan" : props.tool);
  const measure = {
    take(at: Point, reach: typeof MOUSE_REACH, onlySelected: boolean): boolean {
      props.onActivate();
      const sight = sightOf(cell);
      return sight !== undefined && props.measuring.take(props.tool, sight, at, reach, onlySelected);
    },
    carry(at: Point) {
      const sight = sightOf(cell);
      if (sight) props.measuring.carry(sight, at);
    },
    letGo(at: Point) {
      const sight = sightOf(cell);
      if (sight) props.measuring.letGo(sight, at);
    },
    tap(at: Point) {
      const sight = sightOf(cell);
      if (sight) props.measuring.tap(sight, at);
    },
  };

  /** Whether what is shown is a thing to be turned. */
  const turned = (delta: Point): boolean => {
    const view = cell.view();
    view?.turn?.(delta);
    return view?.turn !== undefined;
  };

  let scrolledPx = 0;
  /** A stack is walked through by a drag over the height of the picture, a long one faster. */
  const dragScroll = (y: number) => {
    const count = cell.shown()?.count ?? 1;
    const pxPerImage = Math.min(24, Math.max(3, box.clientHeight / count));
    scrolledPx += y;
    const images = Math.trunc(scrolledPx / pxPerImage);
    scrolledPx -= images * pxPerImage;
    if (images !== 0) cell.view()?.scroll(images);
  };

  onMount(() => {
    const unmount = cell.mount(box);
    const stopMouse = followMouse(box, {
      tool: handTool,
      take: (at) => measure.take(at, MOUSE_REACH, false),
      carry: measure.carry,
      letGo: measure.letGo,
      press(tool, at) {
        props.onActivate();
        if (tool === "cursor") props.onCursor(at);
      },
      drag: (tool, delta, at) => drags[tool](delta, at),
      hover(at) {
        cell.hover(at);
        props.measuring.hover(sightOf(cell), at);
      },
      scroll(images) {
        props.onActivate();
        cell.view()?.scroll(images);
      },
      zoom: (factor, around) => cell.view()?.zoom(factor, around),
      doubleClick: () => isKind(props.tool) || props.onDoubleClick(),
    });
    const stopTouches = followTouches(box, {
      take: (at) => measure.take(at, FINGER_REACH, true),
      carry: measure.carry,
      letGo: measure.letGo,
      drop: () => props.measuring.abandon(),
      tap: measure.tap,
      drag(delta, at) {
        props.onActivate();
        drags[handTool()](delta, at);
      },
      scroll(delta) {
        props.onActivate();
        dragScroll(delta.y);
      },
      pinch(factor, centre, delta) {
        props.onActivate();
        cell.view()?.pan(delta);
        cell.view()?.zoom(factor, centre);
      },
      swipe: (direction) => props.tool === "scroll" && props.onSwipe(direction),
      longPress: () => props.onLongPress(),
      doubleTap: () => isKind(props.tool) || props.onDoubleClick(),
    });
    onCleanup(() => {
      stopMouse();
      stopTouches();
      unmount();
    });
  });
  // A memo, so that what else changes of the layout does not show it anew.
  const cut = createMemo(() => props.cut);
  const laid = createMemo(() => props.over);
  const inPlace = createMemo(() => props.inPlace);
  createEffect(
    on([stack, cut, laid, inPlace], ([shown, along, over]) => void cell.show(shown, props.study, along, props.beginning, over)),
  );

  createEffect(
    on([shownInstance, () => cell.shown()?.frameNumber, () => cell.shown()?.coming, () => cell.shown()?.isForming], () => {
      const sight = sightOf(cell);
      if (sight) props.measuring.recount(sight);
    }),
  );

  const drop = (event: DragEvent) => {
    event.preventDefault();
    box.parentElement?.classList.remove("dropping");
    const dropped = event.dataTransfer?.getData(DRAGGED_SET);
    if (dropped) props.onDrop(dropped);
  };
  const over = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes(DRAGGED_SET)) return;
    event.preventDefault();
    box.parentElement?.classList.add("dropping");
  };

  return (
    <section
      class="cell"
      classList={{ active: props.active && !props.isOne, alone: props.fills, hidden: props.hidden }}
      aria-label={t().layout.cell(props.number)}
      aria-current={props.active}
      onPointerDown={() => props.onActivate()}
      onDragOver={over}
      onDragLeave={() => box.parentElement?.classList.remove("dropping")}
      onDrop={drop}
    >
      <div
        class="viewport"
        ref={box}
        classList={{ hidden: !stack(), aimed: props.measuring.aimed() !== null }}
        data-tool={isKind(props.tool) ? "measure" : props.tool}
        data-instance={shownInstance()}
        data-frame={cell.shown()?.frameNumber}
        onContextMenu={(event) => event.preventDefault()}
      />
      <Show when={stack() && cell.shown()}>
        <DetailLayer cell={cell} study={props.study} onDetail={setDetail} />
        <Show when={props.overlays}>
          <PlaneLayer cell={cell} />
        </Show>
        <CrossLines cell={cell} others={props.others} cursor={props.cursor} />
        <TurnHandles cell={cell} index={props.number - 1} planes={props.planes} />
        <CropBox cell={cell} always={props.cropping} />
        <MeasureLayer cell={cell} measuring={props.measuring} reported={props.reported} />
        <KeyCross cell={cell} active={props.active} hand={props.keyHand} />
        <Show when={props.lens && !props.cut}>
          <Lens cell={cell} box={box} onClose={props.onLensClosed} />
        </Show>
        <Overlay
          view={asSharp(cell.shown()!, detail())}
          stack={stack()!}
          identity={props.identity}
          bare={props.bare}
          probed={cell.probed()}
          room={cell.progress()?.room}
        />
      </Show>
      <Show when={(cell.shown()?.count ?? 0) > 1 && stack()}>
        <Scrubber index={cell.shown()!.index} count={cell.shown()!.count} onGo={(index) => cell.view()?.goTo(index)} />
      </Show>
      <Show when={isLoading(cell)}>
        <div class="loading">
          <Progress share={cell.progress()!.loaded / cell.progress()!.total} label={t().viewer.imagesLoaded} />
        </div>
      </Show>
      <Show when={cell.rate() !== null}>
        <CineBar
          rate={cell.rate()!}
          onRate={(next) => cell.play(Math.min(FASTEST, Math.max(SLOWEST, next)))}
          onStop={() => cell.view()?.stop()}
        />
      </Show>
      <Show when={sheet()} keyed>
        {(shown) => <SheetCard sheet={shown} study={props.study} />}
      </Show>
      <Show when={stack() && !cell.shown() && !cell.failure() && !cell.refusal() && !cell.crash()}>
        <Show when={hasFirstPicture()} fallback={<p class="opening">{notYet(props.cut)}</p>}>
          <FirstPicture cell={cell} stack={stack()!} study={props.study} beginning={props.beginning} />
        </Show>
      </Show>
      <Show when={!props.set && !props.isOne}>
        <p class="opening vacant">{t().layout.room}</p>
      </Show>
      <Show when={cell.isRecovered() && cell.shown()}>
        <p class="planes-missing drawn-anew" role="status">
          {t().overlay.recovered}
        </p>
      </Show>
      <CellErrors cell={cell} />
    </section>
  );
}

/** What is said of an image of which the piece that is seen is sharper, or as sharp as it is. */
function asSharp(view: ShownView, halvings: number | null): ShownView {
  if (halvings === null) return view;
  return { ...view, reduced: halvings > 0 ? { halvings, every: 1 } : null };
}

function notYet(cut: Seen | null): string {
  return cut ? t().volume.loading : t().viewer.loading;
}

/** The image as the server renders it, until the one of which every value is known takes its place. */
function FirstPicture(props: {
  readonly cell: Cell;
  readonly stack: Stack;
  readonly study: string;
  readonly beginning: Beginning | undefined;
}): JSX.Element {
  const address = () => {
    const { frames, seriesUid } = props.stack;
    const { instance, number } = frames[firstIndex(props.stack, props.beginning?.index)]!;
    const path = `${instancePath(props.study, seriesUid, sopInstanceUid(instance))}/frames/${number}`;
    const { rows, columns } = describeFrame(instance, number);
    const halvings = pictureHalvings({ rows, columns });
    const size = halvings > 0 ? { width: halved(columns, halvings), height: halved(rows, halvings) } : undefined;
    return renderedPicture(path, { window: props.beginning?.window, size });
  };
  const [picture, setPicture] = createSignal<HTMLImageElement>();
  const [isBroken, setBroken] = createSignal(false);
  let drawn = () => {};
  props.cell.pictureFirst(new Promise<void>((resolve) => (drawn = resolve)));
  onCleanup(() => drawn());
  createEffect(
    on(address, (path) => {
      const leaving = new AbortController();
      onCleanup(() => leaving.abort());
      pictureAt(path, isStackKept(props.stack, props.study), leaving.signal).then((image) => {
        if (!leaving.signal.aborted) show(image);
      }, noPicture);
    }),
  );
  function show(image: HTMLImageElement): void {
    image.className = "first-picture";
    image.alt = "";
    setPicture(image);
    requestAnimationFrame(() => setTimeout(drawn));
  }
  function noPicture(): void {
    setBroken(true);
    drawn();
  }
  return (
    <Show when={!isBroken()} fallback={<p class="opening">{t().viewer.loading}</p>}>
      {picture()}
    </Show>
  );
}

/** What a dragged series is called among the kinds of a drag. */
export const DRAGGED_SET = "application/x-gantry-series";

export function togglePlaying(cell: Cell, stack: Stack | undefined): void {
  if (cell.rate() !== null) cell.view()?.stop();
  else if (stack && stack.frames.length > 1) cell.play(framesPerSecond(stack));
}

function isLoading(cell: Cell): boolean {
  const progress = cell.progress();
  return progress !== null && progress.loaded < progress.total;
}

function CellErrors(props: { readonly cell: Cell }): JSX.Element {
  return (
    <>
      <Show when={props.cell.failure()} keyed>
        {(failure) => (
          <div class="stage-note">
            <ErrorNote
              error={{
                ...t().errors.noImage(failure.index + 1),
                ...(failure.words !== undefined && { advice: failure.words }),
                detail: failure.message,
              }}
              onRetry={() => props.cell.retry()}
            />
          </div>
        )}
      </Show>
      <Show when={props.cell.refusal()} keyed>
        {(reason) => (
          <div class="stage-note">
            <ErrorNote
              error={{ message: t().volume.refused, advice: whyNoVolume(reason), detail: JSON.stringify(reason) }}
            />
          </div>
        )}
      </Show>
      <Show when={props.cell.crash()} keyed>
        {(error) => (
          <div class="stage-note">
            <ErrorNote error={{ ...t().errors.noViewer, detail: `${error.message}\n${error.stack ?? ""}` }} />
          </div>
        )}
      </Show>
    </>
  );
}
