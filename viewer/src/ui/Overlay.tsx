/** Text on the image: four corners, letters at the edges, a scale bar. */
import { Index, Show, createMemo, type JSX } from "solid-js";
import type { Stack } from "../dicom/displaysets";
import { numberInWords } from "../i18n/language";
import type { Probed, ShownView } from "../render/stackview";
import type { Identity } from "../state/study";
import { overlayCorners, scaleBar, type OverlayLine } from "./overlaylines";

export interface OverlayProps {
  readonly view: ShownView;
  readonly stack: Stack;
  readonly identity: Identity | null;
  readonly bare: boolean;
  /** What the pixel under the pointer holds. */
  readonly probed: Probed | null;
}

export function Overlay(props: OverlayProps): JSX.Element {
  const corners = createMemo(() => overlayCorners(props.view, props.stack, props.identity));
  return (
    <div class="overlay" aria-hidden="true">
      <div class="corner top-left">
        <Lines lines={corners().topLeft} />
      </div>
      <div class="corner top-right">
        <Lines lines={corners().topRight} />
      </div>
      <div class="corner bottom-left">
        <Lines lines={corners().bottomLeft} />
      </div>
      <div class="corner bottom-right">
        <Lines lines={corners().bottomRight} />
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

function Lines(props: { readonly lines: readonly OverlayLine[] }): JSX.Element {
  return (
    <Index each={props.lines}>
      {(line) => (
        <p class={line().kind} classList={{ strong: line().strong === true }}>
          {line().words}
        </p>
      )}
    </Index>
  );
}

function probeInWords({ column, row, values, unit }: Probed): string {
  const held = values.map((value) => numberInWords(Number(value.toPrecision(6)), MOST_DIGITS)).join(" ");
  return `${column}, ${row}: ${held} ${unit}`.trim();
}

/** As many as the value has: it is cut to six significant ones before. */
const MOST_DIGITS = 20;

function ScaleBar(props: { readonly pixelsPerMm: number }): JSX.Element {
  const bar = () => scaleBar(props.pixelsPerMm);
  return (
    <div class="scale" style={{ width: `${(bar().mm * props.pixelsPerMm).toFixed(1)}px` }}>
      <p>{bar().words}</p>
    </div>
  );
}
