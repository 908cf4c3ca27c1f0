/** Pages to print: what is seen or a series in a grid, with the patient above, to PDF or to a printer. */
import { Show, createEffect, createMemo, createSignal, on, onCleanup, type JSX } from "solid-js";
import { render } from "solid-js/web";
import { t } from "../i18n/study";
import { fileName, type Shown } from "../state/exporting";
import { MOST_COLUMNS, MOST_PICTURES, MOST_ROWS, PAPERS, paged, pageLayout, type Paper } from "../state/printing";
import { Progress } from "./controls";
import { isToScale, nameParts, pageWords, printed, printedCount, type PrintWish, type Scene, type SceneCell } from "./exportscene";
import { Check, ChoiceField, ContentField, ExportFailure, Field, NumberField } from "./exportparts";
import { createTask, download } from "./exporttask";
import { PrintPages } from "./PrintPages";
import { Icon } from "./icons";

export interface ExportPrintProps {
  readonly scene: Scene;
  readonly active: SceneCell;
  readonly shown: Shown;
  readonly onShown: (shown: Shown) => void;
  readonly onSaid: (words: string) => void;
}

interface Picture {
  readonly blob: Blob;
  readonly address: string;
}

/** Who turns a knob twice waits for one drawing. */
const SETTLED_MS = 250;
/** About how many images of a long series are a good first offer. */
const OFFERED = 20;

export function ExportPrint(props: ExportPrintProps): JSX.Element {
  const count = props.active.shown.count;
  const isOne = props.scene.cells.length === 1;
  const isSolid = props.active.model.cut === "solid";
  const [paper, setPaper] = createSignal<Paper>("a4");
  const [landscape, setLandscape] = createSignal(!isOne);
  const [rows, setRows] = createSignal(isOne ? 1 : Math.ceil(Math.sqrt(props.scene.cells.length)));
  const [columns, setColumns] = createSignal(isOne ? 1 : Math.ceil(props.scene.cells.length / rows()));
  const [of, setOf] = createSignal<PrintWish["of"]>("layout");
  const [from, setFrom] = createSignal(1);
  const [to, setTo] = createSignal(count);
  const [every, setEvery] = createSignal(Math.max(1, Math.ceil(count / OFFERED)));
  const [wantsTrueSize, setTrueSize] = createSignal(false);
  const [pictures, setPictures] = createSignal<readonly Picture[]>([]);
  const [isDone, setDone] = createSignal(false);
  const [failure, setFailure] = createSignal<Error | null>(null);
  const task = createTask();

  const layout = createMemo(() => pageLayout({ paper: paper(), landscape: landscape(), rows: rows(), columns: columns() }));
  const canTrueSize = createMemo(() => isToScale(props.scene, of()));
  const wish = createMemo<PrintWish>(() => ({
    of: of(),
    range: { from: from(), to: to(), every: every() },
    trueSize: wantsTrueSize() && canTrueSize(),
    shown: props.shown,
  }));
  const wanted = () => printedCount(props.scene, wish());
  const total = () => Math.min(MOST_PICTURES, wanted());
  const words = createMemo(() => pageWords(props.scene, props.shown.patient));
  const places = createMemo(() =>
    paged(Array.from({ length: total() }, (_, index) => pictures()[index] ?? null), rows() * columns()),
  );
  const rulerWords = () => (wish().trueSize ? t().exporting.print.ruler : null);

  const forget = () => {
    for (const { address } of pictures()) URL.revokeObjectURL(address);
    setPictures([]);
    setDone(false);
  };
  let waiting: ReturnType<typeof setTimeout> | undefined;
  onCleanup(() => {
    clearTimeout(waiting);
    forget();
  });
  const make = async () => {
    setFailure(null);
    forget();
    const box = layout().boxes[0]!;
    const now = wish();
    const most = total();
    try {
      await task.run(async (signal) => {
        for await (const blob of printed(props.scene, now, box, signal)) {
          signal.throwIfAborted();
          setPictures((before) => [...before, { blob, address: URL.createObjectURL(blob) }]);
          if (pictures().length >= most) break;
        }
        signal.throwIfAborted();
        setDone(true);
      });
    } catch (error) {
      setFailure(error as Error);
    }
  };
  createEffect(
    on([wish, layout], () => {
      task.stop();
      clearTimeout(waiting);
      setDone(false);
      waiting = setTimeout(() => void make(), SETTLED_MS);
    }),
  );

  const name = () => fileName(nameParts(props.scene, props.shown.patient, []), "pdf");
  const save = async () => {
    const { pdfOf } = await import("./pdf");
    try {
      const pdf = await task.run((signal) =>
        pdfOf(
          {
            layout: layout(),
            words: words(),
            pages: paged(pictures().map(({ blob }) => blob), rows() * columns()),
            pageWords: t().exporting.print.page,
            rulerWords: rulerWords(),
            title: name().replace(/\.pdf$/, ""),
          },
          signal,
        ),
      );
      if (!pdf) return;
      download(pdf, name());
      props.onSaid(t().exporting.saved(name()));
    } catch (error) {
      setFailure(error as Error);
    }
  };
  const print = async () => {
    const box = document.createElement("div");
    box.className = "print-sheets";
    document.body.append(box);
    const remove = render(
      () => (
        <PrintPages
          layout={layout()}
          words={words()}
          pages={places().map((page) => page.map((picture) => picture?.address ?? null))}
          pageWords={t().exporting.print.page}
          rulerWords={rulerWords()}
        />
      ),
      box,
    );
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`@page { size: ${layout().width}mm ${layout().height}mm; margin: 0; }`);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const done = () => {
      remove();
      box.remove();
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    };
    try {
      await Promise.all([...box.querySelectorAll("img")].map((image) => image.decode()));
    } catch (error) {
      done();
      throw error;
    }
    addEventListener("afterprint", done, { once: true });
    globalThis.print();
  };

  return (
    <>
      <section class="export-form" aria-label={t().exporting.settings}>
        <ChoiceField
          label={t().exporting.what}
          choices={[
            { value: "layout" as const, words: isOne ? t().exporting.cell : t().exporting.layout },
            ...(count > 1 && !isSolid ? [{ value: "series" as const, words: t().exporting.series }] : []),
          ]}
          value={of()}
          onChoose={(next) => {
            setOf(next);
            if (next === "series" && rows() * columns() === 1) {
              setRows(MOST_ROWS);
              setColumns(MOST_COLUMNS);
            }
          }}
        />
        <Show when={of() === "series"}>
          <div class="export-numbers">
            <NumberField label={t().exporting.from} value={from()} least={1} most={count} onChange={setFrom} />
            <NumberField label={t().exporting.to} value={to()} least={1} most={count} onChange={setTo} />
            <NumberField label={t().exporting.every} value={every()} least={1} most={count} onChange={setEvery} />
          </div>
        </Show>
        <ChoiceField
          label={t().exporting.print.paper}
          choices={PAPERS.map((value) => ({ value, words: t().exporting.print.papers[value] }))}
          value={paper()}
          onChoose={setPaper}
        />
        <ChoiceField
          label={t().exporting.print.way}
          choices={[
            { value: false, words: t().exporting.print.upright },
            { value: true, words: t().exporting.print.sideways },
          ]}
          value={landscape()}
          onChoose={setLandscape}
        />
        <Field label={t().exporting.print.grid}>
          <div class="export-numbers">
            <NumberField label={t().exporting.print.rows} value={rows()} least={1} most={MOST_ROWS} onChange={setRows} />
            <NumberField label={t().exporting.print.columns} value={columns()} least={1} most={MOST_COLUMNS} onChange={setColumns} />
          </div>
        </Field>
        <p class="export-note">
          {t().exporting.print.pages(places().length, total())}
          <Show when={wanted() > MOST_PICTURES}> · {t().exporting.print.tooMany(MOST_PICTURES)}</Show>
        </p>
        <Field label={t().exporting.size}>
          <Check
            label={t().exporting.print.trueSize}
            checked={wish().trueSize}
            disabled={!canTrueSize()}
            onChange={setTrueSize}
          />
          <Show when={!canTrueSize()}>
            <p class="export-note">{t().exporting.print.noTrueSize}</p>
          </Show>
        </Field>
        <ContentField shown={props.shown} onChange={props.onShown} />
        <footer class="export-actions">
          <button type="button" class="button primary" disabled={!isDone()} onClick={() => void save()}>
            <Icon name="download" /> {t().exporting.print.savePdf}
          </button>
          <button type="button" class="button" disabled={!isDone()} onClick={() => void print().catch((error: unknown) => setFailure(error as Error))}>
            <Icon name="printer" /> {t().exporting.print.print}
          </button>
          <Show when={!isDone() && !failure()}>
            <div class="export-progress">
              <span>{t().exporting.progress(pictures().length, total())}</span>
              <Progress share={pictures().length / Math.max(1, total())} label={t().exporting.making} />
            </div>
          </Show>
        </footer>
      </section>
      <section class="export-view pages" aria-label={t().exporting.preview} aria-busy={!isDone()} tabIndex={0}>
        <Show when={failure()} keyed>
          {(error) => <ExportFailure error={error} onRetry={() => void make()} />}
        </Show>
        <Show when={!failure()}>
          <PrintPages
            layout={layout()}
            words={words()}
            pages={places().map((page) => page.map((picture) => picture?.address ?? null))}
            pageWords={t().exporting.print.page}
            rulerWords={rulerWords()}
          />
        </Show>
      </section>
    </>
  );
}
