/** Text on the image: four corners, letters at the edges, a scale bar. */
import { Show, type JSX } from "solid-js";
import type { Stack } from "../dicom/displaysets";
import { ageInWords, dateInWords, listed, nameInWords, sexInWords, timeInWords } from "../dicom/words";
import { numberInWords, t } from "../i18n/language";
import type { Probed, ShownView } from "../render/stackview";
import type { Identity } from "../state/study";

export interface OverlayProps {
  readonly view: ShownView;
  readonly stack: Stack;
  readonly identity: Identity | null;
  readonly bare: boolean;
  /** What the pixel under the pointer holds. */
  readonly probed: Probed | null;
}

export function Overlay(props: OverlayProps): JSX.Element {
  const frame = () => props.view.frame;
  return (
    <div class="overlay" aria-hidden="true">
      <div class="corner top-left">
        <p class="strong">{nameInWords(props.identity?.patientName)}</p>
        <p>
          {listed([
            props.identity?.patientId,
            sexInWords(props.identity?.sex),
            ageInWords(props.identity?.birthDate, props.identity?.studyDate),
          ])}
        </p>
      </div>
      <div class="corner top-right">
        <p class="strong">{listed([props.stack.description || props.stack.modality, props.stack.part])}</p>
        <p>
          {listed([
            props.stack.seriesNumber === undefined ? undefined : t().overlay.series(props.stack.seriesNumber),
            dateInWords(props.identity?.studyDate),
            timeInWords(props.identity?.studyTime),
          ])}
        </p>
        <Show when={props.view.cut} keyed>
          {(cut) => <p class="cut">{listed([t().volume.cuts[cut], props.view.slab && t().volume.slab[props.view.slab.projection]])}</p>}
        </Show>
      </div>
      <div class="corner bottom-left">
        <Show when={props.view.cut !== "solid"}>
          <p class="strong">
            <Show when={props.view.count > 1} fallback={t().counts.images(1)}>
              {props.view.index + 1} / {props.view.count}
            </Show>
          </p>
        </Show>
        <p>
          {listed([
            said(t().overlay.thickness, frame().sliceThicknessMm, 2),
            said(t().overlay.location, frame().sliceLocationMm, 1, 1),
          ])}
        </p>
      </div>
      <div class="corner bottom-right">
        <Show when={props.view.window} keyed>
          {(window) => (
            <p class="strong">
              {t().overlay.window(rounded(window.width), rounded(window.center))}
            </p>
          )}
        </Show>
        <p>{Math.round(props.view.magnification * 100)} %</p>
        <p class="probe">{props.probed ? probeInWords(props.probed) : ""}</p>
      </div>
      <Show when={props.view.edges} keyed>
        {(edges) => (
          <>
            <p class="edge top">{edges.top}</p>
            <p class="edge right">{edges.right}</p>
            <p class="edge bottom">{edges.bottom}</p>
            <p class="edge left">{edges.left}</p>
          </>
        )}
      </Show>
      <Show when={props.view.pixelsPerMm} keyed>
        {(pixelsPerMm) => <ScaleBar pixelsPerMm={pixelsPerMm} />}
      </Show>
    </div>
  );
}

function probeInWords({ column, row, values, unit }: Probed): string {
  const held = values.map((value) => numberInWords(Number(value.toPrecision(6)), MOST_DIGITS)).join(" ");
  return `${column}, ${row}: ${held} ${unit}`.trim();
}

/** As many as the value has: it is cut to six significant ones before. */
const MOST_DIGITS = 20;

const STEPS_MM = [200, 100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1];
const LONGEST_PX = 160;

function ScaleBar(props: { readonly pixelsPerMm: number }): JSX.Element {
  const millimetresShown = () =>
    STEPS_MM.find((step) => step * props.pixelsPerMm <= LONGEST_PX) ?? 0.1;
  return (
    <div class="scale" style={{ width: `${(millimetresShown() * props.pixelsPerMm).toFixed(1)}px` }}>
      <p>
        {millimetresShown() >= 10
          ? `${numberInWords(millimetresShown() / 10)} cm`
          : `${numberInWords(millimetresShown())} mm`}
      </p>
    </div>
  );
}

function said(words: (mm: string) => string, mm: number | undefined, most: number, least = 0): string | undefined {
  return mm === undefined ? undefined : words(numberInWords(mm, most, least));
}

/** Small numbers keep a digit: windows of normalised or float images are often below ten. */
function rounded(value: number): string {
  const digits = Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0;
  return numberInWords(value, digits, digits);
}
