/** A clip of what is seen: the stack as it plays, slices of a plane, a turn of a solid thing. */
import { Show, createEffect, createMemo, createResource, createSignal, on, onCleanup, type JSX } from "solid-js";
import { numberInWords } from "../i18n/language";
import { t } from "../i18n/study";
import { codecFor, gifWriter, isCodec, mp4Writer, type ClipCodec, type ClipKind } from "../render/clip";
import { FASTEST_GIF, fileName, type Scale, type Shown } from "../state/exporting";
import { Progress } from "./controls";
import {
  clipLength,
  clipSize,
  lengthOf,
  makeClip,
  nameParts,
  scalesOf,
  usualRate,
  wayOf,
  waysOf,
  type ClipWish,
  type SceneCell,
  type Scene,
  type Way,
} from "./exportscene";
import { ChoiceField, ContentField, ExportFailure, NumberField } from "./exportparts";
import { createTask, download } from "./exporttask";
import { Icon } from "./icons";

export interface ExportClipProps {
  readonly scene: Scene;
  readonly active: SceneCell;
  readonly shown: Shown;
  readonly onShown: (shown: Shown) => void;
  readonly onSaid: (words: string) => void;
}

const CODEC_NAMES: Readonly<Record<ClipCodec, string>> = { avc: "H.264", vp9: "VP9", av1: "AV1" };
const FASTEST = 60;
const TURN_S = 6;
const LONGEST_TURN_S = 60;

export function ExportClip(props: ExportClipProps): JSX.Element {
  const ways = waysOf(props.active);
  const begin = ways.includes(wayOf(props.active)) ? wayOf(props.active) : ways[0]!;
  const [way, setWay] = createSignal<Way>(begin);
  const [kind, setKind] = createSignal<ClipKind>("mp4");
  const [chosen, setScale] = createSignal<Scale>("shown");
  const [from, setFrom] = createSignal(1);
  const [to, setTo] = createSignal(lengthOf(props.scene, begin));
  const [every, setEvery] = createSignal(1);
  const [rate, setRate] = createSignal(usualRate(props.active, begin));
  const [seconds, setSeconds] = createSignal(TURN_S);
  const [progress, setProgress] = createSignal<readonly [done: number, total: number] | null>(null);
  const [result, setResult] = createSignal<{ readonly address: string; readonly kind: ClipKind } | null>(null);
  const [failure, setFailure] = createSignal<Error | null>(null);
  const task = createTask();
  const scales = () => scalesOf(way() === "solid" ? { ...props.active, model: { ...props.active.model, cut: "solid" } } : props.active, false);
  const scale = () => (scales().includes(chosen()) ? chosen() : "shown");
  const wish = createMemo<ClipWish>(() => ({
    way: way(),
    range: { from: from(), to: to(), every: every() },
    framesPerSecond: kind() === "gif" ? Math.min(FASTEST_GIF, rate()) : rate(),
    seconds: seconds(),
    scale: scale(),
    shown: props.shown,
  }));
  const size = createMemo(() => clipSize(props.scene, wish()));
  const [codec] = createResource(size, codecFor);
  // What the browser cannot do is not chosen.
  createEffect(() => codec.state === "ready" && !isCodec(codec()) && setKind("gif"));
  const count = () => clipLength(props.scene, wish());
  const lasts = () => numberInWords(count() / wish().framesPerSecond, 1);

  const choose = (next: Way) => {
    setWay(next);
    setFrom(1);
    setTo(lengthOf(props.scene, next));
    setRate(usualRate(props.active, next));
  };
  const forget = () => {
    const before = result();
    if (before) URL.revokeObjectURL(before.address);
    setResult(null);
  };
  onCleanup(forget);
  createEffect(on([wish, kind], forget, { defer: true }));

  const make = async () => {
    setFailure(null);
    forget();
    const now = wish();
    const as = kind();
    const found = codec();
    setProgress([0, count()]);
    try {
      const blob = await task.run((signal) =>
        makeClip(
          props.scene,
          now,
          async (canvas) =>
            as === "mp4" && found && isCodec(found)
              ? await mp4Writer(canvas, found, now.framesPerSecond)
              : gifWriter(canvas, now.framesPerSecond),
          (done, total) => setProgress([done, total]),
          signal,
        ),
      );
      if (blob) {
        const what = now.way === "images" ? undefined : t().volume.cuts[now.way];
        const name = fileName(nameParts(props.scene, props.shown.patient, [what]), as);
        download(blob, name);
        setResult({ address: URL.createObjectURL(blob), kind: as });
        props.onSaid(t().exporting.saved(name));
      }
    } catch (error) {
      setFailure(error as Error);
    } finally {
      setProgress(null);
    }
  };

  return (
    <>
      <section class="export-form" aria-label={t().exporting.settings}>
        <fieldset class="export-fields" disabled={progress() !== null}>
          <ChoiceField
            label={t().exporting.way}
            choices={ways.map((value) => ({ value, words: wayInWords(value) }))}
            value={way()}
            onChoose={choose}
          />
          <Show
            when={way() !== "solid"}
            fallback={
              <div class="export-numbers">
                <NumberField label={t().exporting.seconds} value={seconds()} least={1} most={LONGEST_TURN_S} onChange={setSeconds} />
                <NumberField label={t().exporting.rate} value={rate()} least={1} most={FASTEST} onChange={setRate} />
              </div>
            }
          >
            <div class="export-numbers">
              <NumberField label={t().exporting.from} value={from()} least={1} most={lengthOf(props.scene, way())} onChange={setFrom} />
              <NumberField label={t().exporting.to} value={to()} least={1} most={lengthOf(props.scene, way())} onChange={setTo} />
              <NumberField label={t().exporting.every} value={every()} least={1} most={lengthOf(props.scene, way())} onChange={setEvery} />
              <NumberField label={t().exporting.rate} value={rate()} least={1} most={FASTEST} onChange={setRate} />
            </div>
          </Show>
          <p class="export-note">{t().exporting.length(count(), lasts())}</p>
          <ChoiceField
            label={t().exporting.format}
            choices={[
              ...(codec.state === "ready" && !isCodec(codec()) ? [] : [{ value: "mp4" as const, words: "MP4" }]),
              { value: "gif" as const, words: "GIF" },
            ]}
            value={kind()}
            onChoose={setKind}
          />
          <Show when={codec.state === "ready" && codec()} keyed>
            {(found) => (
              <Show when={!isCodec(found) || kind() === "mp4"}>
                <p class="export-note" data-codec={found}>
                  {isCodec(found) ? t().exporting.codec(CODEC_NAMES[found]) : t().exporting[found]}
                </p>
              </Show>
            )}
          </Show>
          <ChoiceField
            label={t().exporting.size}
            choices={scales().map((value) => ({ value, words: t().exporting.scales[value] }))}
            value={scale()}
            onChoose={setScale}
          />
          <p class="export-note">{t().exporting.pixels(size().width, size().height)}</p>
          <ContentField shown={props.shown} onChange={props.onShown} />
        </fieldset>
        <footer class="export-actions">
          <Show
            when={progress()}
            fallback={
              <button type="button" class="button primary" disabled={codec.loading} onClick={() => void make()}>
                <Icon name="download" /> {t().exporting.save}
              </button>
            }
          >
            {(now) => (
              <>
                <button type="button" class="button" onClick={() => task.stop()}>
                  <Icon name="close" /> {t().exporting.cancel}
                </button>
                <div class="export-progress">
                  <span>{t().exporting.progress(now()[0], now()[1])}</span>
                  <Progress share={now()[0] / now()[1]} label={t().exporting.making} />
                </div>
              </>
            )}
          </Show>
        </footer>
      </section>
      <section class="export-view" aria-label={t().exporting.preview}>
        <Show when={failure()} keyed>
          {(error) => <ExportFailure error={error} onRetry={() => void make()} />}
        </Show>
        <Show when={result()}>
          {(clip) =>
            clip().kind === "gif" ? (
              <img class="export-picture" src={clip().address} alt={t().exporting.preview} />
            ) : (
              <video class="export-picture" src={clip().address} autoplay loop muted controls aria-label={t().exporting.preview} />
            )
          }
        </Show>
        <Show when={!result() && !failure()}>
          <Icon name="film" />
        </Show>
      </section>
    </>
  );
}

function wayInWords(way: Way): string {
  if (way === "images") return t().exporting.images;
  return way === "solid" ? t().exporting.turn : t().volume.cuts[way];
}
