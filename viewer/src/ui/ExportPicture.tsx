/** A picture of what is seen, to a file or to the clipboard; what is shown beside is what is saved. */
import { Show, createEffect, createSignal, on, onCleanup, type JSX } from "solid-js";
import { t } from "../i18n/study";
import { MOST_SIDE, fileName, type Scale, type Shown } from "../state/exporting";
import { blobOf, makePicture, nameParts, pictureSize, scalesOf, type PictureWish, type Scene } from "./exportscene";
import { ChoiceField, ContentField, ExportFailure } from "./exportparts";
import { createTask, download } from "./exporttask";
import { Icon } from "./icons";

export interface ExportPictureProps {
  readonly scene: Scene;
  readonly shown: Shown;
  readonly onShown: (shown: Shown) => void;
  readonly onSaid: (words: string) => void;
}

type Format = "png" | "jpeg";

const FORMATS = { png: { type: "image/png", extension: "png" }, jpeg: { type: "image/jpeg", extension: "jpg" } } as const;

export function ExportPicture(props: ExportPictureProps): JSX.Element {
  const [of, setOf] = createSignal<PictureWish["of"]>("cell");
  const [format, setFormat] = createSignal<Format>("png");
  const [chosen, setScale] = createSignal<Scale>("shown");
  const [made, setMade] = createSignal<{ readonly canvas: HTMLCanvasElement; readonly address: string } | null>(null);
  /** Whether what is made is what is asked for now. */
  const [isCurrent, setCurrent] = createSignal(false);
  const [failure, setFailure] = createSignal<Error | null>(null);
  const task = createTask();
  const scales = () => scalesOf(props.scene.active, of() === "layout");
  const scale = () => (scales().includes(chosen()) ? chosen() : "shown");
  const wish = (): PictureWish => ({ of: of(), scale: scale(), shown: props.shown });
  const size = () => pictureSize(props.scene, wish());

  const forget = () => {
    const before = made();
    if (before) URL.revokeObjectURL(before.address);
    setMade(null);
  };
  onCleanup(forget);
  const make = async () => {
    setFailure(null);
    setCurrent(false);
    try {
      const picture = await task.run(async (signal) => {
        const canvas = await makePicture(props.scene, wish(), signal);
        return { canvas, png: await blobOf(canvas, "image/png") };
      });
      if (!picture) return;
      forget();
      setMade({ canvas: picture.canvas, address: URL.createObjectURL(picture.png) });
      setCurrent(true);
    } catch (error) {
      forget();
      setFailure(error as Error);
    }
  };
  createEffect(on(wish, () => void make()));

  /** Fails in words: browsers refuse the clipboard, and disks are full. */
  const failing = (work: () => Promise<void>) => () => void work().catch((error: unknown) => setFailure(error as Error));
  const save = failing(async () => {
    const { type, extension } = FORMATS[format()];
    const index = props.scene.active?.shown;
    const number = of() === "cell" && index && index.count > 1 && index.cut !== "solid" ? `${index.index + 1}` : undefined;
    const name = fileName(nameParts(props.scene, props.shown.patient, [index?.cut ? t().volume.cuts[index.cut] : undefined, number]), extension);
    download(await blobOf(made()!.canvas, type), name);
    props.onSaid(t().exporting.saved(name));
  });
  const copy = failing(async () => {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blobOf(made()!.canvas, "image/png") })]);
    props.onSaid(t().exporting.copied);
  });

  return (
    <>
      <section class="export-form" aria-label={t().exporting.settings}>
        <ChoiceField
          label={t().exporting.what}
          choices={[
            { value: "cell" as const, words: t().exporting.cell },
            { value: "layout" as const, words: t().exporting.layout },
          ]}
          value={of()}
          onChoose={setOf}
        />
        <ChoiceField
          label={t().exporting.format}
          choices={[
            { value: "png" as const, words: "PNG" },
            { value: "jpeg" as const, words: "JPEG" },
          ]}
          value={format()}
          onChoose={setFormat}
        />
        <ChoiceField
          label={t().exporting.size}
          choices={scales().map((value) => ({ value, words: t().exporting.scales[value] }))}
          value={scale()}
          onChoose={setScale}
        />
        <p class="export-note">
          {t().exporting.pixels(size().width, size().height)}
          <Show when={size().isReduced}> · {t().exporting.reduced(MOST_SIDE)}</Show>
        </p>
        <ContentField shown={props.shown} onChange={props.onShown} />
        <footer class="export-actions">
          <button type="button" class="button primary" disabled={!isCurrent()} onClick={save}>
            <Icon name="download" /> {t().exporting.save}
          </button>
          <button type="button" class="button" disabled={!isCurrent() || !isSecureContext} onClick={copy}>
            <Icon name="copy" /> {t().exporting.copy}
          </button>
          <Show when={!isSecureContext}>
            <p class="export-note">{t().exporting.noCopy}</p>
          </Show>
        </footer>
      </section>
      <section class="export-view" aria-label={t().exporting.preview} aria-busy={!isCurrent()}>
        <Show when={failure()} keyed>
          {(error) => <ExportFailure error={error} onRetry={() => void make()} />}
        </Show>
        <Show when={made()} fallback={<Show when={!failure()}><p class="export-note">{t().exporting.making}</p></Show>}>
          {(picture) => <img class="export-picture" src={picture().address} alt={t().exporting.preview} />}
        </Show>
      </section>
    </>
  );
}
