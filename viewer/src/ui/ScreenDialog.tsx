/** Measures the screen once, by a card held against it. */
import { createEffect, createSignal, on, type JSX } from "solid-js";
import { t } from "../i18n/study";
import {
  CARD_MM,
  LEAST_PIXELS_PER_MM,
  MOST_PIXELS_PER_MM,
  USUAL_PIXELS_PER_MM,
  keepPixelsPerMm,
  pixelsPerMm,
} from "../state/screen";

export interface ScreenDialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  /** The screen is measured. */
  readonly onKnown: () => void;
}

export function ScreenDialog(props: ScreenDialogProps): JSX.Element {
  let dialog!: HTMLDialogElement;
  const [scale, setScale] = createSignal(USUAL_PIXELS_PER_MM);
  createEffect(
    on(
      () => props.open,
      (open) => {
        if (open) setScale(pixelsPerMm(devicePixelRatio) ?? USUAL_PIXELS_PER_MM);
        if (open && !dialog.open) dialog.showModal();
        if (!open && dialog.open) dialog.close();
      },
    ),
  );
  const use = () => {
    keepPixelsPerMm(scale(), devicePixelRatio);
    dialog.close();
    props.onKnown();
  };
  return (
    <dialog
      ref={dialog}
      class="screen-dialog"
      aria-label={t().sizes.title}
      onClose={() => props.onClose()}
      on:keydown={(event) => event.stopPropagation()}
    >
      <h2>{t().sizes.title}</h2>
      <p>{t().sizes.advice}</p>
      <div class="card-space">
        <div
          class="card-outline"
          style={{ width: `${CARD_MM.width * scale()}px`, height: `${CARD_MM.height * scale()}px` }}
        />
      </div>
      <input
        type="range"
        aria-label={t().sizes.width}
        min={LEAST_PIXELS_PER_MM}
        max={MOST_PIXELS_PER_MM}
        step={0.005}
        value={scale()}
        onInput={(event) => setScale(event.currentTarget.valueAsNumber)}
      />
      <footer>
        <button type="button" class="button plain" onClick={() => dialog.close()}>
          {t().sizes.cancel}
        </button>
        <button type="button" class="button" onClick={use}>
          {t().sizes.use}
        </button>
      </footer>
    </dialog>
  );
}
