/** One study: series rail, a grid of cells, tools. Everything a key can do, a button can too. */
import { Index, Show, createEffect, createMemo, createSignal, on, onCleanup, onMount, type JSX } from "solid-js";
// What a narrow screen changes stands in the last of them.
import "../ui/styles/measure.css";
import "../ui/styles/priors.css";
import "../ui/styles/sheet.css";
import "../ui/styles/viewer.css";
import { readDraft, reportDraft, writeDraft } from "../api/drafts";
import { findSeries, findStudiesOfPatient, findStudy, seriesMetadata } from "../api/dicomweb";
import { sopInstanceUid, type DisplaySet, type Stack } from "../dicom/displaysets";
import { describeFrame, type Window } from "../dicom/frame";
import { areParallel } from "../dicom/geometry";
import { linkPath, type Link } from "../dicom/link";
import { isKind, spacingOf, type Kind } from "../dicom/measure";
import { newUid } from "../dicom/uid";
import type { Vector3 } from "../dicom/model";
import { presetsFor } from "../dicom/presets";
import { RENDERINGS, isVolume, volumeOf } from "../dicom/volume";
import { dateInWords, listed, nameInWords, timeInWords } from "../dicom/words";
import { t } from "../i18n/language";
import { centreOf, createCell, type Cell } from "../render/cell";
import type { Beginning, ShownView } from "../render/stackview";
import {
  MOST_SIDE,
  ONE_CELL,
  activate,
  activeSet,
  allCuts,
  cellCount,
  fill,
  inGrid,
  isCut,
  put,
  seenCells,
  step,
  toggleAlone,
  toggleSolid,
  type Layout,
} from "../state/layout";
import type { Measurement } from "../state/measurements";
import { createPriors } from "../state/priors";
import { createSaving } from "../state/saving";
import { openStudy } from "../state/study";
import type { Point } from "../tools/gestures";
import { commandFor, type CommandId } from "../tools/keys";
import { measuringOf } from "../tools/measuring";
import type { DragTool } from "../tools/mouse";
import { ErrorNote } from "../ui/controls";
import { KeysDialog } from "../ui/KeysDialog";
import { MeasurePanel } from "../ui/MeasurePanel";
import { whyNoVolume } from "../ui/novolume";
import { PriorsMenu } from "../ui/PriorsMenu";
import { SeriesRail } from "../ui/SeriesRail";
import { StageCell, togglePlaying } from "../ui/StageCell";
import { ViewerTools } from "../ui/ViewerTools";
import { Icon } from "../ui/icons";
import { backToList, openStudyPage, studyAddress } from "./router";

const FINE_ZOOM = 1.25;
/** How long something is said: a word of assent, or a sentence to read. */
const SHORT_MS = 1600;
const LONG_MS = 9000;
/** What the key for one or several viewports changes to. */
const SEVERAL = [2, 2] as const;

export default function StudyPage(props: { readonly link: Link }): JSX.Element {
  const uid = props.link.study;
  const study = openStudy(uid, { findSeries, seriesMetadata });
  const priors = createPriors(uid, { findStudy, findStudiesOfPatient });
  const onTouch = matchMedia("(pointer: coarse)").matches;
  const firstTool: DragTool = onTouch ? "scroll" : "window";
  const [tool, setTool] = createSignal<DragTool>(firstTool);
  const [lastKind, setLastKind] = createSignal<Kind>("length");
  const [panelOpen, setPanelOpen] = createSignal(false);
  const measuring = measuringOf(uid);
  const saving = createSaving(
    {
      read: () => readDraft(uid),
      write: (version, measurements) => writeDraft(uid, version, measurements),
      report: (key) => reportDraft(uid, key),
    },
    {
      list: () => measuring.all().list,
      receive: measuring.receive,
      forget: measuring.forget,
      async spacingOf(image, points) {
        await study.openSeries(image.seriesInstanceUid);
        const place = whereIs({ image });
        const frame = place?.set.kind === "stack" ? place.set.frames[place.index] : undefined;
        return frame && spacingOf(describeFrame(frame.instance, frame.number), points);
      },
    },
    newUid,
  );
  createEffect(on(() => measuring.all().list, () => saving.changed()));
  const finish = async () => {
    try {
      await saving.finish();
      say(t().measure.finished, SHORT_MS);
    } catch (error) {
      say((error as Error).message, LONG_MS);
    }
  };
  const [layout, setLayout] = createSignal<Layout>(ONE_CELL);
  const [linked, setLinked] = createSignal(true);
  const [lines, setLines] = createSignal(true);
  const [cursor, setCursor] = createSignal<Vector3 | null>(null);
  const [bare, setBare] = createSignal(false);
  const [toolsOpen, setToolsOpen] = createSignal(false);
  const [keysShown, setKeysShown] = createSignal(false);
  const [beginning, setBeginning] = createSignal<{ readonly id: string; readonly at: Beginning } | null>(null);
  const [said, setSaid] = createSignal("");
  const cells: readonly Cell[] = Array.from({ length: MOST_SIDE * MOST_SIDE }, createCell);
  let stage!: HTMLElement;

  const active = (): Cell => cells[layout().active]!;
  const activeDisplaySet = createMemo(() => study.find(activeSet(layout())));
  const stack = createMemo<Stack | undefined>(() => {
    const set = activeDisplaySet();
    return set?.kind === "stack" ? set : undefined;
  });
  const view = () => active().shown();
  const viewport = () => active().view();
  const identity = () => study.state().identity;
  const presets = () => presetsFor(stack()?.modality ?? "");

  const showSet = (id: string, cell = layout().active) => setLayout(put(layout(), cell, id));
  const showSeries = async (series: string, cell = layout().active) => {
    const first = await study.openSeries(series);
    if (first) showSet(first.id, cell);
  };
  /** What a rail item or a drop names: a display set, or a series that is not read yet. */
  const showNamed = (name: string, cell?: number) =>
    study.find(name) ? showSet(name, cell) : void showSeries(name, cell);
  const stepSet = (direction: 1 | -1) => {
    const sets = study.sets();
    const next = sets[sets.findIndex((set) => set.id === activeSet(layout())) + direction];
    if (next) showSet(next.id);
  };
  const setGrid = async (rows: number, columns: number) => {
    setLayout(inGrid(layout(), rows, columns, study.sets().filter(isImage).map((set) => set.id)));
    // Cells that are still empty take what is read meanwhile.
    for (const { uid: series, sets } of study.state().series) {
      const first = sets ? undefined : await study.openSeries(series);
      if (first && isImage(first)) setLayout(fill(layout(), first.id));
    }
  };

  /** Says why where it cannot be. */
  const isSeenAsVolume = (): boolean => {
    const shown = stack();
    const volume = shown && volumeOf(shown);
    if (volume && !isVolume(volume)) say(`${t().volume.refused} ${whyNoVolume(volume)}`, LONG_MS);
    return volume !== undefined && isVolume(volume);
  };
  let withoutCuts: Layout = ONE_CELL;
  const togglePlanes = () => {
    const shown = stack();
    const now = view();
    const goes = isCut(layout());
    if (!shown) return void (goes && setLayout(withoutCuts));
    if (!goes && !isSeenAsVolume()) return;
    const point = now ? centreOf(now) : undefined;
    const whole = seenCells(layout()).find((index) => !layout().cells[index]?.cut);
    const taken = goes ? cells[whole ?? layout().active] : active();
    const at: Beginning = { index: taken?.shown()?.index, point, window: now?.window ?? undefined };
    setBeginning({ id: shown.id, at });
    if (!goes) withoutCuts = layout();
    setLayout(goes ? withoutCuts : allCuts(shown.id));
  };

  const commands: Readonly<Record<CommandId, () => void>> = {
    previous: () => viewport()?.scroll(-1),
    next: () => viewport()?.scroll(1),
    back10: () => viewport()?.scroll(-10),
    forward10: () => viewport()?.scroll(10),
    first: () => viewport()?.goTo(0),
    last: () => viewport()?.goTo(Number.MAX_SAFE_INTEGER),
    previousSeries: () => stepSet(-1),
    nextSeries: () => stepSet(1),
    window: () => setTool("window"),
    scroll: () => setTool("scroll"),
    zoom: () => setTool("zoom"),
    pan: () => setTool("pan"),
    cursor: () => setTool("cursor"),
    length: () => setTool("length"),
    bidirectional: () => setTool("bidirectional"),
    angle: () => setTool("angle"),
    cobb: () => setTool("cobb"),
    ellipse: () => setTool("ellipse"),
    rectangle: () => setTool("rectangle"),
    circle: () => setTool("circle"),
    freehand: () => setTool("freehand"),
    arrow: () => setTool("arrow"),
    probe: () => setTool("probe"),
    panel: () => setPanelOpen((value) => !value),
    remove: () => measuring.remove(measuring.selected()),
    undo: measuring.undo,
    redo: measuring.redo,
    putAway: () => measuring.escape() || (isKind(tool()) && setTool(firstTool)),
    zoomIn: () => viewport()?.zoom(FINE_ZOOM),
    zoomOut: () => viewport()?.zoom(1 / FINE_ZOOM),
    invert: () => viewport()?.invert(),
    rotate: () => viewport()?.rotate(),
    flip: () => viewport()?.flip(),
    reset: () => viewport()?.reset(),
    play: () => togglePlaying(active(), stack()),
    nextCell: () => setLayout(step(layout(), 1)),
    alone: () => setLayout(toggleAlone(layout())),
    grid: () => void (cellCount(layout()) > 1 ? setGrid(1, 1) : setGrid(...SEVERAL)),
    planes: () => togglePlanes(),
    solid: () => isSeenAsVolume() && setLayout(toggleSolid(layout())),
    link: () => setLinked((value) => !value),
    lines: () => setLines((value) => !value),
    copyLink: () => void copyLink(),
    full: () => setBare((value) => !value),
    help: () => setKeysShown((value) => !value),
    // The key that deletes on some keyboards is the one that goes back on others.
    list: () => (measuring.selected() ? measuring.remove(measuring.selected()) : backToList()),
  };

  const copyLink = async () => {
    const now = view();
    const set = activeDisplaySet();
    const isFirst = study.sets().find((one) => one.seriesUid === set?.seriesUid)?.id === set?.id;
    const link: Link = {
      study: uid,
      series: set?.seriesUid,
      instance: set && !isFirst ? set.id : undefined,
      frame: now && now.count > 1 && !now.cut ? now.index + 1 : undefined,
      window: now?.window ?? undefined,
    };
    await navigator.clipboard.writeText(location.origin + linkPath(link));
    say(t().viewer.linkCopied, SHORT_MS);
  };
  let saying: ReturnType<typeof setTimeout> | undefined;
  const say = (words: string, forMs: number) => {
    clearTimeout(saying);
    setSaid(words);
    saying = setTimeout(() => setSaid(""), forMs);
  };

  const onKey = (event: KeyboardEvent) => {
    if (keysShown() || event.defaultPrevented) return;
    if (event.key === "Escape" && bare()) return void setBare(false);
    const preset = presets().find(({ key }) => key === event.key);
    const command = preset ? undefined : commandFor(event);
    if (!preset && !command) return;
    // A focused button keeps its own keys.
    if (event.key === " " && event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    if (preset) return viewport()?.setWindow(preset);
    commands[command!]();
  };
  onMount(() => {
    addEventListener("keydown", onKey);
    addEventListener("pagehide", saving.flush);
    onCleanup(() => {
      removeEventListener("keydown", onKey);
      removeEventListener("pagehide", saving.flush);
      saving.dispose();
      study.dispose();
      priors.dispose();
    });
  });

  // The first image comes first.
  createEffect(() => !study.state().busy && priors.load());

  // What the address asks for, else the first series, as soon as it is known.
  let hasBegun = false;
  createEffect(() => {
    const first = study.sets()[0];
    if (hasBegun || !first) return;
    hasBegun = true;
    void saving.open();
    void begin(first);
  });
  const begin = async (first: DisplaySet) => {
    const { series, instance, frame, window } = props.link;
    const opened = series ? await study.openSeries(series) : first;
    const set = study.find(instance ?? null) ?? opened ?? first;
    setBeginning({ id: set.id, at: { index: frame && frame - 1, window } });
    showSet(set.id, 0);
  };

  // The others scroll along where the active cell is scrolled to, if they lie parallel to it.
  const place = createMemo(() => {
    const shown = view();
    return shown && { cell: layout().active, id: activeSet(layout()), index: shown.index };
  }, null, { equals: (a, b) => a?.cell === b?.cell && a?.id === b?.id && a?.index === b?.index });
  createEffect(
    on(place, (now, before) => {
      const shown = view();
      if (!linked() || !shown || !now || before?.cell !== now.cell || before?.id !== now.id) return;
      const centre = centreOf(shown);
      for (const index of centre ? seenCells(layout()) : []) {
        const other = cells[index]!.shown();
        if (index !== now.cell && other && areKin(shown, other) && areParallel(shown.plane!, other.plane!))
          cells[index]!.view()?.goToPoint(centre!);
      }
    }),
  );

  createEffect(
    on(tool, (now) => {
      measuring.abandon();
      if (isKind(now)) setLastKind(now);
    }),
  );
  /** Where the image of a measurement is, as far as its series is read. */
  const whereIs = ({ image }: Pick<Measurement, "image">) => {
    const isIts = (frame: Stack["frames"][number]) =>
      frame.number === image.frame && sopInstanceUid(frame.instance) === image.sopInstanceUid;
    for (const set of study.sets()) {
      const index = set.kind === "stack" ? set.frames.findIndex(isIts) : -1;
      if (index >= 0) return { set, index };
    }
    return undefined;
  };
  const placeInWords = (one: Measurement) => {
    const place = whereIs(one);
    return place ? t().measure.place(place.set.description || place.set.modality, place.index + 1) : "";
  };
  const showMeasurement = (one: Measurement) => {
    measuring.select(one.id);
    const place = whereIs(one);
    if (!place) return;
    const seen = seenCells(layout()).find((cell) => layout().cells[cell]?.set === place.set.id);
    if (seen === undefined) {
      setBeginning({ id: place.set.id, at: { index: place.index } });
      return showSet(place.set.id);
    }
    setLayout(activate(layout(), seen));
    cells[seen]!.view()?.goTo(place.index);
  };
  // All cuts of one volume are seen in one window.
  const window = createMemo(() => view()?.window ?? null, null, {
    equals: (a, b) => a?.center === b?.center && a?.width === b?.width,
  });
  createEffect(
    on(window, (now) => {
      const shown = activeSet(layout());
      if (!now || !isCut(layout())) return;
      for (const index of seenCells(layout())) {
        const other = cells[index]!.shown()?.window;
        const isSame = other?.center === now.center && other.width === now.width;
        if (other && !isSame && layout().cells[index]?.set === shown) cells[index]!.view()?.setWindow(now);
      }
    }),
  );

  const moveCursor = (from: number, at: Point) => {
    const shown = cells[from]!.shown();
    const point = cells[from]!.view()?.pointAt(at);
    if (!shown || !point) return;
    setCursor(point);
    for (const index of seenCells(layout())) {
      const other = cells[index]!.shown();
      if (index !== from && other && areKin(shown, other)) cells[index]!.view()?.goToPoint(point);
    }
  };
  createEffect(on(tool, (now) => now === "cursor" || setCursor(null)));

  /** What other cells show, the active one's first: it is drawn in the accent colour. */
  const othersOf = (index: number): readonly ShownView[] => {
    if (!lines()) return [];
    const order = [layout().active, ...seenCells(layout()).filter((cell) => cell !== layout().active)];
    return order.filter((cell) => cell !== index).flatMap((cell) => cells[cell]!.shown() ?? []);
  };

  createEffect(() => {
    const patient = identity()?.patientName;
    document.title = patient ? `${nameInWords(patient)} · Gantry` : `${t().viewer.study} · Gantry`;
  });

  return (
    <div class="viewer page" classList={{ bare: bare(), "with-panel": panelOpen() }}>
      <header class="viewer-head">
        <button type="button" class="tool" aria-label={t().viewer.back} title={t().viewer.back} onClick={backToList}>
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
        <PriorsMenu priors={priors} address={studyAddress} onOpen={openStudyPage} />
      </header>
      <ViewerTools
        tool={tool()}
        onTool={setTool}
        lastKind={lastKind()}
        panelOpen={panelOpen()}
        run={(id) => commands[id]()}
        presets={presets()}
        windows={view()?.frame.windows ?? []}
        onWindow={(window: Window) => viewport()?.setWindow(window)}
        canScroll={(stack()?.frames.length ?? 0) > 1}
        canWindow={view()?.window != null}
        playing={active().rate() !== null}
        inverted={view()?.inverted ?? false}
        disabled={!stack()}
        layout={layout()}
        planes={isCut(layout())}
        slab={view()?.slab ?? null}
        canSlab={view()?.cut != null && view()?.cut !== "solid"}
        rendering={view()?.rendering ?? null}
        renderings={RENDERINGS.filter((one) => one === "window" || view()?.frame.rescaleType === "HU")}
        onRendering={(rendering) => active().setRendering(rendering)}
        solid={layout().cells.some((cell, index) => index < cellCount(layout()) && cell?.cut === "solid")}
        onSlab={(slab) => active().setSlab(slab)}
        onLayout={(rows, columns) => void setGrid(rows, columns)}
        linked={linked()}
        lines={lines()}
        open={toolsOpen()}
        onOpen={setToolsOpen}
        onLeave={() => stage.focus()}
      />
      <SeriesRail
        study={study}
        uid={uid}
        active={activeSet(layout())}
        shown={seenCells(layout()).flatMap((index) => layout().cells[index]?.set ?? [])}
        onOpen={showNamed}
      />
      <main
        class="stage"
        aria-label={t().viewer.image}
        tabIndex={-1}
        ref={stage}
        style={{ "--rows": layout().alone ? 1 : layout().rows, "--columns": layout().alone ? 1 : layout().columns }}
      >
        <Index each={cells.slice(0, cellCount(layout()))}>
          {(cell, index) => {
            const set = createMemo(() => study.find(layout().cells[index]?.set ?? null));
            return (
              <StageCell
                number={index + 1}
                cell={cell()}
                study={uid}
                set={set()}
                cut={layout().cells[index]?.cut ?? null}
                beginning={beginning()?.id === set()?.id ? beginning()?.at : undefined}
                identity={identity()}
                active={layout().active === index}
                isOne={cellCount(layout()) === 1}
                hidden={layout().alone && layout().active !== index}
                bare={bare()}
                tool={tool()}
                measuring={measuring}
                others={othersOf(index)}
                cursor={cursor()}
                onActivate={() => setLayout(activate(layout(), index))}
                onCursor={(at) => moveCursor(index, at)}
                onSwipe={stepSet}
                onLongPress={() => setToolsOpen(true)}
                onDoubleClick={() =>
                  cellCount(layout()) > 1 ? setLayout(toggleAlone(layout())) : cell().view()?.reset()
                }
                onDrop={(name) => showNamed(name, index)}
              />
            );
          }}
        </Index>
        <Show when={!activeDisplaySet() && study.state().busy}>
          <p class="opening">{t().viewer.opening}</p>
        </Show>
        <p class="said" role="status">
          {said()}
        </p>
        <StudyErrors study={study} isOpen={activeDisplaySet() !== undefined} />
      </main>
      <Show when={panelOpen()}>
        <MeasurePanel
          saving={saving.state()}
          problem={saving.problem()}
          onFinish={() => void finish()}
          measuring={measuring}
          placeInWords={placeInWords}
          onShow={showMeasurement}
          onClose={() => setPanelOpen(false)}
        />
      </Show>
      <KeysDialog open={keysShown()} onClose={() => setKeysShown(false)} presets={presets()} />
    </div>
  );
}

function isImage(set: DisplaySet): boolean {
  return set.kind === "stack";
}

/** Whether two images lie in one Frame of Reference, each at a known place. */
function areKin(a: ShownView, b: ShownView): boolean {
  const isSame = a.frameOfReferenceUid !== undefined && a.frameOfReferenceUid === b.frameOfReferenceUid;
  return isSame && a.plane !== undefined && b.plane !== undefined;
}

interface StudyErrorsProps {
  readonly study: ReturnType<typeof openStudy>;
  readonly isOpen: boolean;
}

function StudyErrors(props: StudyErrorsProps): JSX.Element {
  const seriesError = () => props.study.state().series.find((entry) => entry.error)?.error ?? null;
  const studyError = () => props.study.state().error ?? (props.isOpen ? null : seriesError());
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
          <ErrorNote error={{ ...t().errors.noStudy, detail: location.pathname }} />
        </div>
      </Show>
    </>
  );
}
