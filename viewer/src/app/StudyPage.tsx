/** One study: series rail, a grid of cells, tools. Everything a key can do, a button can too. */
import { Index, Show, Suspense, createEffect, createMemo, createSignal, lazy, on, onCleanup, onMount, type JSX } from "solid-js";
import { findSeries, findStudiesOfPatient, findStudy, seriesMetadata } from "../api/dicomweb";
import type { Window } from "../dicom/frame";
import { linkPath, type Link } from "../dicom/link";
import { isKind, type ImagePoint, type Kind } from "../dicom/measure";
import { presetsFor, windowFor, type Preset } from "../dicom/presets";
import { suvFactor } from "../dicom/uptake";
import { renderingsFor } from "../dicom/volume";
import { dateInWords, listed, nameInWords, timeInWords } from "../dicom/words";
import { t } from "../i18n/study";
import { activeSet, cellCount, isCut, isFused, seenCells } from "../state/layout";
import type { Measurement } from "../state/measurements";
import type { LocalFiles } from "../state/local";
import type { Reported } from "../state/reported";
import { createPriors } from "../state/priors";
import { openStudy } from "../state/study";
import { followGrip } from "../tools/grip";
import { createKeyHold } from "../tools/keyhold";
import { commandFor, commandWords } from "../tools/keys";
import type { DragTool } from "../tools/mouse";
import { copyText } from "../ui/clipboard";
import { ErrorNote } from "../ui/controls";
import { KeysDialog } from "../ui/KeysDialog";
import { LocalHead } from "../ui/LocalStudies";
import { KeyStatus } from "../ui/KeyCross";
import { MeasurePanel } from "../ui/MeasurePanel";
import { whyNoVolume } from "../ui/novolume";
import { PriorsMenu } from "../ui/PriorsMenu";
import { ScreenDialog } from "../ui/ScreenDialog";
import { SeriesRail } from "../ui/SeriesRail";
import { sightOf } from "../ui/sight";
import { StageCell } from "../ui/StageCell";
import { ViewerTools } from "../ui/ViewerTools";
import { Icon } from "../ui/icons";
import { createAids } from "./aids";
import { commandsOf } from "./commands";
import type { ExportDialogProps } from "../ui/ExportDialog";
import { sceneOf } from "./exporting";
import { createNotes } from "./notes";
import { backToList, localAddress, openLocalStudy, openStudyPage, studyAddress } from "./router";
import { createStage } from "./stage";
import { sendFiles } from "./uploads";

const InfoPanel = lazy(() => import("../ui/InfoPanel"));

/** How long something is said: a word of assent, or a sentence to read. */
const SHORT_MS = 1600;
const LONG_MS = 9000;

/** With its encoders it is a third of the code, and few come for it. */
const ExportDialog = lazy(() => import("../ui/ExportDialog"));

/** Few come for it. */
const HistoryDialog = lazy(() => import("../ui/HistoryDialog"));

export interface StudyPageProps {
  readonly link: Link;
  /** Where the study is only on this device. */
  readonly local?: LocalFiles | undefined;
}

export default function StudyPage(props: StudyPageProps): JSX.Element {
  const uid = props.link.study;
  const { local } = props;
  const study = openStudy(uid, local ?? { findSeries, seriesMetadata }, props.link.series);
  const priors = createPriors(uid, local ?? { findStudy, findStudiesOfPatient });
  const notes = createNotes(uid, study, local !== undefined);
  const { measuring, saving, reported, keyHand } = notes;
  const { history } = measuring;
  const stage = createStage(
    study,
    history,
    (reason) => say(`${t().volume.refused} ${whyNoVolume(reason)}`, LONG_MS),
    () => say(t().fusion.none, LONG_MS),
  );
  const { layout, stack, view, viewport } = stage;
  const keyHold = createKeyHold();
  const holding = () => {
    const tool = keyHold.held();
    return tool ? t().keys.holding(commandWords(tool)) : "";
  };
  const aids = createAids(uid, stage, local !== undefined, (words) => say(words, SHORT_MS * 2));
  const onTouch = matchMedia("(pointer: coarse)").matches;
  const firstTool: DragTool = onTouch ? "scroll" : "window";
  const [tool, setTool] = createSignal<DragTool>(firstTool);
  const [lastKind, setLastKind] = createSignal<Kind>("length");
  const [panelOpen, setPanelOpen] = createSignal(false);
  const [bare, setBare] = createSignal(false);
  const [toolsOpen, setToolsOpen] = createSignal(false);
  const [cropOpen, setCropOpen] = createSignal(false);
  const [keysShown, setKeysShown] = createSignal(false);
  const [said, setSaid] = createSignal("");
  const [exported, setExported] = createSignal<Omit<ExportDialogProps, "onClose"> | null>(null);
  const [historyShown, setHistoryShown] = createSignal(false);
  let main!: HTMLElement;

  const overOf = (id: string | undefined) => {
    const over = study.find(id ?? null);
    return over?.kind === "stack" ? over : undefined;
  };
  const identity = () => study.state().identity;
  const heading = () => {
    const known = identity();
    if (known) return nameInWords(known.patientName);
    // Nothing is said that changes a moment later.
    return study.state().busy ? "" : t().viewer.study;
  };
  const usePreset = (preset: Preset) => {
    const shown = view();
    const window = shown && windowFor(preset, () => viewport()?.pixels(shown.index));
    if (window) viewport()?.setWindow(window);
  };
  const presets = () => presetsFor(stack()?.modality ?? "", suvFactor(view()?.uptake));

  let saying: ReturnType<typeof setTimeout> | undefined;
  const say = (words: string, forMs: number) => {
    clearTimeout(saying);
    setSaid(words);
    saying = setTimeout(() => setSaid(""), forMs);
  };
  const finish = async () => {
    try {
      await saving.finish();
      void reported.ask();
      say(t().measure.finished, SHORT_MS);
    } catch (error) {
      say((error as Error).message, LONG_MS);
    }
  };
  const copyLink = async () => {
    if (local) return say(t().local.noLink, LONG_MS);
    const now = view();
    const set = stage.displaySet();
    const isFirst = study.sets().find((one) => one.seriesUid === set?.seriesUid)?.id === set?.id;
    const link: Link = {
      study: uid,
      series: set?.seriesUid,
      instance: set && !isFirst ? set.id : undefined,
      frame: now && now.count > 1 && !now.cut ? now.index + 1 : undefined,
      window: now?.window ?? undefined,
    };
    const address = location.origin + linkPath(link);
    if (await copyText(address)) say(t().viewer.linkCopied, SHORT_MS);
    else say(t().actions.noCopy(address), LONG_MS);
  };
  const showMeasurement = (one: Measurement) => {
    measuring.select(one.id);
    goTo(one);
  };
  const showReported = ({ shape }: Reported) => {
    reported.select(shape.id);
    goTo(shape);
  };
  const goTo = (one: Measurement) => {
    const [place, image] = [notes.placeOf(one), notes.imageOf(one)];
    // What lies in an image is shown there, but for who looks at cuts.
    if (image && !(one.plane && isCut(layout()))) stage.goTo(image.set, image.index);
    else if (place) stage.goToCut(place.set, one);
    // Keys are then for the image.
    main.focus();
  };

  const commands = commandsOf(stage, measuring, aids, {
    tool,
    setTool,
    firstTool,
    togglePanel: () => setPanelOpen((value) => !value),
    toggleBare: () => setBare((value) => !value),
    toggleHelp: () => setKeysShown((value) => !value),
    copyLink: () => void copyLink(),
    // What is only on this device has none.
    showHistory: () => setHistoryShown(!local),
    toggleCrop() {
      if (cropOpen()) return void setCropOpen(false);
      if (view()?.cut !== "solid") stage.toggleSolid();
      setCropOpen(true);
    },
    export: (mode) => setExported({ mode, scene: sceneOf(stage, uid, study, { ...notes, overlays: aids.overlays() }, main) }),
  });

  /** Whether it measured, or did what the tool in hand does; in fields, on buttons and in menus keys do what they do there. */
  const isKeyOfTool = (event: KeyboardEvent): boolean => {
    const { ctrlKey, metaKey, altKey, target, key, shiftKey: shift } = event;
    if (ctrlKey || metaKey || altKey || (target !== document.body && target !== main)) return false;
    const cell = stage.active();
    const sight = sightOf(cell);
    const box = cell.element();
    const middle = box ? sight?.toImage({ x: box.clientWidth / 2, y: box.clientHeight / 2 }) : undefined;
    const point = (at: ImagePoint) => {
      const place = sight?.toScreen(at);
      if (place) stage.moveCursor(layout().active, place);
    };
    const isHolding = keyHold.held() !== null;
    if (!isHolding && keyHand.press({ key, shift, tool: tool(), sight, middle, point })) return true;
    return keyHold.press({
      key,
      shift,
      tool: tool(),
      can: (held) => (held === "window" ? view()?.window != null : view() !== null),
      drag: (held, delta) => (held === "window" ? viewport()?.dragWindow(delta) : viewport()?.pan(delta)),
    });
  };
  const onKey = (event: KeyboardEvent) => {
    if (keysShown() || exported() || historyShown() || event.defaultPrevented) return;
    if (isKeyOfTool(event)) return event.preventDefault();
    if (event.key === "Escape" && bare()) return void setBare(false);
    const preset = presets().find(({ key }) => key === event.key);
    const command = preset ? undefined : commandFor(event);
    if (!preset && !command) return;
    // A focused button keeps its own keys.
    if (event.key === " " && event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    if (preset) return usePreset(preset);
    commands[command!]();
  };
  /** The browser asks before what is nowhere else is lost. */
  const warn = (event: BeforeUnloadEvent) => local && measuring.list().length > 0 && event.preventDefault();
  onMount(() => {
    addEventListener("keydown", onKey);
    onCleanup(followGrip(history));
    addEventListener("pagehide", saving.flush);
    addEventListener("beforeunload", warn);
    onCleanup(() => {
      removeEventListener("keydown", onKey);
      removeEventListener("beforeunload", warn);
      removeEventListener("pagehide", saving.flush);
      saving.dispose();
      reported.dispose();
      study.dispose();
      priors.dispose();
    });
  });

  // The first image comes first.
  createEffect(() => !study.state().busy && priors.load());
  createEffect(() => !local && view() && reported.begin());

  // It begins as soon as the first series is known.
  let hasBegun = false;
  createEffect(() => {
    const first = study.sets()[0];
    if (hasBegun || !first) return;
    hasBegun = true;
    if (!local) void saving.open();
    void stage.begin(first, props.link).then((isThere) => isThere || say(t().viewer.notThere, LONG_MS));
  });

  createEffect(
    on(tool, (now) => {
      measuring.abandon();
      keyHand.putAway();
      keyHold.letGo();
      if (isKind(now)) setLastKind(now);
      if (now !== "cursor") stage.hideCursor();
    }),
  );

  createEffect(() => {
    const patient = identity()?.patientName;
    document.title = patient ? `${nameInWords(patient)} · Gantry` : `${t().viewer.study} · Gantry`;
  });

  return (
    <div class="viewer page" classList={{ bare: bare(), "with-panel": panelOpen() && !aids.info(), "with-info": aids.info() }}>
      <header class="viewer-head">
        <button type="button" class="tool" aria-label={t().viewer.back} title={t().viewer.back} onClick={backToList}>
          <Icon name="arrowLeft" />
        </button>
        <div class="viewer-title">
          <h1>{heading()}</h1>
          <p>
            <Show when={local}>
              <span class="local-said">{t().local.mark}</span>
            </Show>
            {listed([
              identity()?.description,
              `${dateInWords(identity()?.studyDate)} ${timeInWords(identity()?.studyTime)}`.trim(),
            ])}
          </p>
        </div>
        <PriorsMenu
          priors={priors}
          address={local ? localAddress : studyAddress}
          onOpen={local ? openLocalStudy : openStudyPage}
          none={local ? t().local.noPriors : t().priors.none}
        />
        <Show when={local}>{(held) => <LocalHead onStore={() => void sendFiles(held().filesOf(uid))} />}</Show>
      </header>
      <ViewerTools
        tool={tool()}
        onTool={setTool}
        lastKind={lastKind()}
        panelOpen={panelOpen()}
        info={aids.info()}
        overlays={aids.overlays()}
        lens={aids.lens()}
        hasHistory={!local}
        subtracted={view()?.subtracted ?? null}
        run={(id) => commands[id]()}
        canUndo={history.canUndo()}
        canRedo={history.canRedo()}
        presets={presets()}
        windows={view()?.frame.windows ?? []}
        onPreset={usePreset}
        onWindow={(window: Window) => viewport()?.setWindow(window)}
        canScroll={(stack()?.frames.length ?? 0) > 1}
        canWindow={view()?.window != null}
        playing={stage.active().rate() !== null}
        inverted={view()?.inverted ?? false}
        disabled={!stack()}
        layout={layout()}
        planes={isCut(layout())}
        slab={view()?.slab ?? null}
        canSlab={view()?.cut != null && view()?.cut !== "solid"}
        rendering={view()?.rendering ?? null}
        renderings={renderingsFor(stack()?.modality ?? "", view()?.frame.rescaleType === "HU")}
        onRendering={(rendering) => stage.active().setRendering(rendering)}
        solid={layout().cells.some((cell, index) => index < cellCount(layout()) && cell?.cut === "solid")}
        crop={view()?.crop?.faces ?? null}
        onCrop={(crop) => stage.active().setCrop(crop)}
        cropOpen={cropOpen()}
        onCropOpen={setCropOpen}
        over={stage.over()}
        fusion={stage.fusion()}
        onFusion={stage.setFusion}
        fused={isFused(layout())}
        onSlab={(slab) => stage.active().setSlab(slab)}
        onLayout={(rows, columns) => void stage.setGrid(rows, columns)}
        linked={stage.linked()}
        lines={stage.lines()}
        open={toolsOpen()}
        onOpen={setToolsOpen}
        onLeave={() => main.focus()}
      />
      <SeriesRail
        study={study}
        uid={uid}
        isLocal={local !== undefined}
        active={activeSet(layout())}
        shown={seenCells(layout()).flatMap((index) => layout().cells[index]?.set ?? [])}
        onOpen={stage.showNamed}
      />
      <main
        class="stage"
        aria-label={t().viewer.image}
        tabIndex={-1}
        ref={main}
        style={{ "--rows": layout().alone ? 1 : layout().rows, "--columns": layout().alone ? 1 : layout().columns }}
      >
        <Index each={stage.cells.slice(0, cellCount(layout()))}>
          {(cell, index) => {
            const set = createMemo(() => study.find(layout().cells[index]?.set ?? null));
            return (
              <StageCell
                number={index + 1}
                cell={cell()}
                study={uid}
                set={set()}
                cut={layout().cells[index]?.cut ?? null}
                over={overOf(layout().cells[index]?.over)}
                inPlace={layout().cells[index]?.inPlaceOf !== undefined}
                planes={stage.lines() ? stage.planesOf(set()?.id) : []}
                cropping={cropOpen()}
                beginning={stage.beginningOf(set()?.id, index)}
                identity={identity()}
                active={layout().active === index}
                isOne={cellCount(layout()) === 1}
                fills={cellCount(layout()) === 1 || layout().alone}
                hidden={layout().alone && layout().active !== index}
                bare={bare()}
                tool={tool()}
                overlays={aids.overlays()}
                lens={aids.lens() && layout().active === index}
                onLensClosed={aids.closeLens}
                measuring={measuring}
                reported={reported}
                keyHand={keyHand}
                others={stage.othersOf(index)}
                cursor={stage.cursor()}
                onActivate={() => stage.activate(index)}
                onCursor={(at) => stage.moveCursor(index, at)}
                onSwipe={stage.stepSet}
                onLongPress={() => setToolsOpen(true)}
                onDoubleClick={() =>
                  cellCount(layout()) > 1 ? stage.toggleAlone() : cell().view()?.reset()
                }
                onDrop={(name) => stage.showNamed(name, index)}
              />
            );
          }}
        </Index>
        <Show when={!stage.displaySet() && study.state().busy}>
          <p class="opening">{t().viewer.opening}</p>
        </Show>
        <p class="said" role="status">
          {said() || holding()}
        </p>
        <KeyStatus hand={keyHand} measuring={measuring} />
        <StudyErrors study={study} isOpen={stage.displaySet() !== undefined} />
      </main>
      <Show when={aids.info()}>
        <Suspense>
          <InfoPanel
            object={aids.described()?.object}
            frame={aids.described()?.frame ?? 0}
            path={aids.described()?.path}
            onClose={() => {
              aids.toggleInfo();
              main.focus();
            }}
          />
        </Suspense>
      </Show>
      <Show when={panelOpen() && !aids.info()}>
        <MeasurePanel
          saving={local ? null : saving.state()}
          problem={saving.problem()}
          onFinish={() => void finish()}
          run={(id) => commands[id]()}
          measuring={measuring}
          placeInWords={notes.placeInWords}
          onShow={showMeasurement}
          reported={reported}
          onShowReported={showReported}
          onClose={() => setPanelOpen(false)}
        />
      </Show>
      <ScreenDialog open={aids.screenShown()} onClose={aids.closeScreen} onKnown={aids.screenKnown} />
      <KeysDialog open={keysShown()} onClose={() => setKeysShown(false)} presets={presets()} />
      <Suspense>
        <Show when={exported()} keyed>
          {(asked) => <ExportDialog {...asked} onClose={() => setExported(null)} />}
        </Show>
        <Show when={historyShown()}>
          <HistoryDialog
            study={uid}
            onClose={(changed) => {
              setHistoryShown(false);
              // All that the page knows of the study is of before.
              if (changed) location.reload();
              main.focus();
            }}
          />
        </Show>
      </Suspense>
    </div>
  );
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
