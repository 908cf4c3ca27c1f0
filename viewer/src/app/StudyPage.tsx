/** One study: series rail, viewport or sheet, tools. Everything a key can do, a button can too. */
import { Show, createEffect, createMemo, createSignal, onCleanup, onMount, type JSX } from "solid-js";
import "../ui/styles/viewer.css";
import { findSeries, seriesMetadata } from "../api/dicomweb";
import { framesPerSecond } from "../dicom/cine";
import type { Stack } from "../dicom/displaysets";
import type { Window } from "../dicom/frame";
import { presetsFor } from "../dicom/presets";
import { dateInWords, listed, nameInWords, timeInWords } from "../dicom/words";
import type { Progress as LoadProgress } from "../render/prefetch";
import { createStackView, type LoadFailure, type ShownView, type StackView } from "../render/stackview";
import { openStudy } from "../state/study";
import { followTouches } from "../tools/gestures";
import { commandFor, type CommandId } from "../tools/keys";
import { followMouse, type DragTool } from "../tools/mouse";
import { CineBar } from "../ui/CineBar";
import { ErrorNote, Progress } from "../ui/controls";
import { KeysDialog } from "../ui/KeysDialog";
import { Overlay } from "../ui/Overlay";
import { Scrubber } from "../ui/Scrubber";
import { SeriesRail } from "../ui/SeriesRail";
import { SheetCard } from "../ui/SheetCard";
import { ViewerTools } from "../ui/ViewerTools";
import { Icon } from "../ui/icons";
import { backToList } from "./router";

const FINE_ZOOM = 1.25;
const SLOWEST = 1;
const FASTEST = 60;

export default function StudyPage(props: { readonly uid: string }): JSX.Element {
  const study = openStudy(props.uid, { findSeries, seriesMetadata });
  const onTouch = matchMedia("(pointer: coarse)").matches;
  const [tool, setTool] = createSignal<DragTool>(onTouch ? "scroll" : "window");
  const [view, setView] = createSignal<ShownView | null>(null);
  const [progress, setProgress] = createSignal<LoadProgress | null>(null);
  const [failure, setFailure] = createSignal<LoadFailure | null>(null);
  const [crash, setCrash] = createSignal<Error | null>(null);
  const [rate, setRate] = createSignal<number | null>(null);
  const [bare, setBare] = createSignal(false);
  const [toolsOpen, setToolsOpen] = createSignal(false);
  const [keysShown, setKeysShown] = createSignal(false);
  let element!: HTMLDivElement;
  let stage!: HTMLElement;
  let viewport: StackView | undefined;

  const stack = createMemo<Stack | undefined>(() => {
    const active = study.active();
    return active?.kind === "stack" ? active : undefined;
  });
  const sheet = createMemo(() => {
    const active = study.active();
    return active?.kind === "sheet" ? active : undefined;
  });
  const identity = () => study.state().identity;
  const presets = () => presetsFor(stack()?.modality ?? "");

  const play = (framesEachSecond: number) => {
    setRate(framesEachSecond);
    viewport?.play(framesEachSecond, () => setRate(null));
  };
  const drags: Readonly<Record<DragTool, (delta: { x: number; y: number }) => void>> = {
    window: (delta) => viewport?.dragWindow(delta),
    pan: (delta) => viewport?.pan(delta),
    zoom: ({ y }) => viewport?.zoom(Math.exp(-y / 150)),
    scroll: (delta) => dragScroll(delta.y),
  };

  let scrolledPx = 0;
  /** A stack is walked through by a drag over the height of the picture, a long one faster. */
  const dragScroll = (y: number) => {
    const count = view()?.count ?? 1;
    const pxPerImage = Math.min(24, Math.max(3, element.clientHeight / count));
    scrolledPx += y;
    const images = Math.trunc(scrolledPx / pxPerImage);
    scrolledPx -= images * pxPerImage;
    if (images !== 0) viewport?.scroll(images);
  };

  const commands: Readonly<Record<CommandId, () => void>> = {
    previous: () => viewport?.scroll(-1),
    next: () => viewport?.scroll(1),
    back10: () => viewport?.scroll(-10),
    forward10: () => viewport?.scroll(10),
    first: () => viewport?.goTo(0),
    last: () => viewport?.goTo(Number.MAX_SAFE_INTEGER),
    previousSeries: () => study.step(-1),
    nextSeries: () => study.step(1),
    window: () => setTool("window"),
    scroll: () => setTool("scroll"),
    zoom: () => setTool("zoom"),
    pan: () => setTool("pan"),
    zoomIn: () => viewport?.zoom(FINE_ZOOM),
    zoomOut: () => viewport?.zoom(1 / FINE_ZOOM),
    invert: () => viewport?.invert(),
    rotate: () => viewport?.rotate(),
    flip: () => viewport?.flip(),
    reset: () => viewport?.reset(),
    play: () => {
      const shown = stack();
      if (rate() !== null) viewport?.stop();
      else if (shown && shown.frames.length > 1) play(framesPerSecond(shown));
    },
    full: () => setBare((value) => !value),
    help: () => setKeysShown((value) => !value),
    list: backToList,
  };

  const setWindow = (window: Window) => viewport?.setWindow(window);

  const onKey = (event: KeyboardEvent) => {
    if (keysShown() || event.defaultPrevented) return;
    if (event.key === "Escape" && bare()) return void setBare(false);
    const preset = presets().find(({ key }) => key === event.key);
    const command = preset ? undefined : commandFor(event);
    if (!preset && !command) return;
    // A focused button keeps its own keys.
    if (event.key === " " && event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    if (preset) return setWindow(preset);
    commands[command!]();
  };

  onMount(() => {
    try {
      viewport = createStackView(element, {
        onView: (shown) => {
          setFailure(null);
          setView(shown);
        },
        onProgress: setProgress,
        onFailure: setFailure,
      });
    } catch (error) {
      setCrash(error as Error);
    }
    const stopMouse = followMouse(element, {
      tool,
      drag: (chosen, delta) => drags[chosen](delta),
      scroll: (images) => viewport?.scroll(images),
      zoom: (factor, around) => viewport?.zoom(factor, around),
      doubleClick: () => viewport?.reset(),
    });
    const stopTouches = followTouches(element, {
      drag: (delta) => drags[tool()](delta),
      scroll: (delta) => dragScroll(delta.y),
      pinch: (factor, centre, delta) => {
        viewport?.pan(delta);
        viewport?.zoom(factor, centre);
      },
      swipe: (direction) => tool() === "scroll" && study.step(direction),
      longPress: () => setToolsOpen(true),
      doubleTap: () => viewport?.reset(),
    });
    addEventListener("keydown", onKey);
    onCleanup(() => {
      removeEventListener("keydown", onKey);
      stopMouse();
      stopTouches();
      viewport?.dispose();
      study.dispose();
    });
  });

  createEffect(() => {
    const shown = stack();
    setProgress(null);
    setFailure(null);
    setView(null);
    if (shown) viewport?.show(shown, props.uid).catch((error: unknown) => setCrash(error as Error));
    else viewport?.stop();
  });
  createEffect(() => {
    const patient = identity()?.patientName;
    document.title = patient ? `${nameInWords(patient)} · Gantry` : "Study · Gantry";
  });

  return (
    <div class="viewer page" classList={{ bare: bare() }}>
      <header class="viewer-head">
        <button type="button" class="tool" aria-label="Back to studies" title="Back to studies" onClick={backToList}>
          <Icon name="arrowLeft" />
        </button>
        <div class="viewer-title">
          <h1>{identity() ? nameInWords(identity()!.patientName) : ""}</h1>
          <p>
            {listed([
              identity()?.description,
              `${dateInWords(identity()?.studyDate)} ${timeInWords(identity()?.studyTime)}`.trim(),
            ])}
          </p>
        </div>
      </header>
      <ViewerTools
        tool={tool()}
        onTool={setTool}
        run={(id) => commands[id]()}
        presets={presets()}
        windows={view()?.frame.windows ?? []}
        onWindow={setWindow}
        canScroll={(stack()?.frames.length ?? 0) > 1}
        canWindow={view()?.window != null}
        playing={rate() !== null}
        inverted={view()?.inverted ?? false}
        disabled={!stack()}
        open={toolsOpen()}
        onOpen={setToolsOpen}
        onLeave={() => stage.focus()}
      />
      <SeriesRail study={study} uid={props.uid} />
      <main class="stage" aria-label="Image" tabIndex={-1} ref={stage}>
        <div
          class="viewport"
          ref={element}
          classList={{ hidden: !stack() }}
          data-tool={tool()}
          onContextMenu={(event) => event.preventDefault()}
        />
        <Show when={stack() && view()}>
          <Overlay view={view()!} stack={stack()!} identity={identity()} bare={bare()} />
        </Show>
        <Show when={(view()?.count ?? 0) > 1 && stack()}>
          <Scrubber
            index={view()!.index}
            count={view()!.count}
            onGo={(index) => viewport?.goTo(index)}
          />
        </Show>
        <Show when={loading(progress())}>
          <div class="loading">
            <Progress share={progress()!.loaded / progress()!.total} label="Images loaded" />
          </div>
        </Show>
        <Show when={rate() !== null}>
          <CineBar
            rate={rate()!}
            onRate={(next) => play(Math.min(FASTEST, Math.max(SLOWEST, next)))}
            onStop={() => viewport?.stop()}
          />
        </Show>
        <Show when={sheet()} keyed>
          {(shown) => <SheetCard sheet={shown} study={props.uid} />}
        </Show>
        <Show when={!study.active() && study.state().busy}>
          <p class="opening">Opening the study…</p>
        </Show>
        <Show when={stack() && !view() && !failure() && !crash()}>
          <p class="opening">Loading the image…</p>
        </Show>
        <StageError
          study={study}
          failure={failure()}
          crash={crash()}
          onRetry={() => {
            setFailure(null);
            const shown = stack();
            if (shown) void viewport?.show(shown, props.uid);
          }}
        />
      </main>
      <KeysDialog open={keysShown()} onClose={() => setKeysShown(false)} presets={presets()} />
    </div>
  );
}

function loading(progress: LoadProgress | null): boolean {
  return progress !== null && progress.loaded < progress.total;
}

interface StageErrorProps {
  readonly study: ReturnType<typeof openStudy>;
  readonly failure: LoadFailure | null;
  readonly crash: Error | null;
  readonly onRetry: () => void;
}

function StageError(props: StageErrorProps): JSX.Element {
  const seriesError = () => props.study.state().series.find((entry) => entry.error)?.error ?? null;
  const studyError = () =>
    props.study.state().error ?? (props.study.active() ? null : seriesError());
  const isEmpty = () => !props.study.state().busy && !studyError() && props.study.state().series.length === 0;
  return (
    <>
      <Show when={studyError()} keyed>
        {(error) => (
          <div class="stage-note">
            <ErrorNote error={error} onRetry={() => props.study.retry()} />
          </div>
        )}
      </Show>
      <Show when={isEmpty()}>
        <div class="stage-note">
          <ErrorNote
            error={{
              message: "This study is not in the archive.",
              advice: "It may have been deleted, or the link is from another server.",
              detail: location.pathname,
            }}
          />
        </div>
      </Show>
      <Show when={props.failure} keyed>
        {(failure) => (
          <div class="stage-note">
            <ErrorNote
              error={{
                message: `Image ${failure.index + 1} cannot be shown.`,
                advice: "Other images are not affected. Try again, or open the file in another program.",
                detail: failure.message,
              }}
              onRetry={props.onRetry}
            />
          </div>
        )}
      </Show>
      <Show when={props.crash} keyed>
        {(error) => (
          <div class="stage-note">
            <ErrorNote
              error={{
                message: "This browser could not start the viewer.",
                advice: "Reload the page, or open it in another browser.",
                detail: `${error.message}\n${error.stack ?? ""}`,
              }}
            />
          </div>
        )}
      </Show>
    </>
  );
}
