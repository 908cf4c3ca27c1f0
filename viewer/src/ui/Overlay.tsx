/** Text on the image: four corners, letters at the edges, a scale bar. */
import { Index, Show, createMemo, type JSX } from "solid-js";
import type { Stack } from "../dicom/displaysets";
import { gradientOf } from "../dicom/palettes";
import { significant, valueInWords } from "../dicom/uptake";
import { t } from "../i18n/study";
import type { Probed, ShownOver, ShownView } from "../render/view";
import type { Identity } from "../state/study";
import { overEnds, overlayCorners, scaleBar, type OverlayLine } from "./overlaylines";

export interface OverlayProps {
  readonly view: ShownView;
  readonly stack: Stack;
  readonly identity: Identity | null;
  readonly bare: boolean;
  /** What the pixel under the pointer holds. */
  readonly probed: Probed | null;
  /** How many images of the stack are kept together, where not all are. */
  readonly room: number | undefined;
}

export function Overlay(props: OverlayProps): JSX.Element {
  const corners = createMemo(() => overlayCorners(props.view, props.stack, props.identity, props.room));
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
      <Show when={props.view.edges}>
        {(edges) => (
          <>
            <p class="edge top">{edges().top}</p>
            <p class="edge right">{edges().right}</p>
            <p class="edge bottom">{edges().bottom}</p>
            <p class="edge left">{edges().left}</p>
          </>
        )}
      </Show>
      <Show when={props.view.over} keyed>
        {(over) => <ColourBar over={over} />}
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

function probeInWords({ column, row, over, ...here }: Probed): string {
  return [`${column}, ${row}: ${heldInWords(here)}`.trim(), ...(over ? [heldInWords(over)] : [])].join("\n");
}

function heldInWords({ values, unit, suvFactor: factor, isMean }: Pick<Probed, "values" | "unit" | "suvFactor" | "isMean">): string {
  const words = values.length === 1 ? valueInWords(values[0]!, unit, factor) : `${values.map(significant).join(" ")} ${unit}`;
  return isMean ? t().overlay.mean(words) : words;
}

/** What the colours of the upper volume stand for. */
function ColourBar(props: { readonly over: ShownOver }): JSX.Element {
  const ends = () => overEnds(props.over);
  return (
    <div class="colour-bar">
      <p>{ends()[1]}</p>
      <div style={{ background: gradientOf(props.over.palette, "top") }} />
      <p>{ends()[0]}</p>
    </div>
  );
}

function ScaleBar(props: { readonly pixelsPerMm: number }): JSX.Element {
  const bar = () => scaleBar(props.pixelsPerMm);
  return (
    <Show when={bar()}>
      {(drawn) => (
        <div class="scale" style={{ width: `${(drawn().mm * props.pixelsPerMm).toFixed(1)}px` }}>
          <p>{drawn().words}</p>
        </div>
      )}
    </Show>
  );
}
