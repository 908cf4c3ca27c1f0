/** How a volume that is laid over another one is seen: colours, how much it covers, and its own window. */
import { Popover } from "@kobalte/core/popover";
import { For, Show, type JSX } from "solid-js";
import { PALETTE_NAMES, gradientOf } from "../dicom/palettes";
import { SUV_TOPS, endsOf, windowBetween } from "../dicom/presets";
import { SUV_UNIT, significant, suvFactor } from "../dicom/uptake";
import { numberInWords } from "../i18n/language";
import { t } from "../i18n/study";
import type { ShownOver } from "../render/view";
import type { FusionLook } from "../state/fusion";
import { OneOf } from "./controls";
import { Icon } from "./icons";
import { menuPlacement } from "./room";

export interface FusionMenuProps {
  readonly over: ShownOver;
  readonly look: FusionLook;
  readonly onLook: (look: FusionLook) => void;
}

const OPACITY_STEPS = 20;
const WINDOW_STEPS = 400;
/** Sliders of SUV reach as far at least as the widest window that is asked for by name. */
const SUV_MOST = SUV_TOPS[SUV_TOPS.length - 1]!;

export function FusionMenu(props: FusionMenuProps): JSX.Element {
  const words = () => t().fusion;
  const factor = () => suvFactor(props.over.uptake);
  /** What sliders and numbers are in: uptake where it is known. */
  const scale = () => factor() ?? 1;
  const unit = () => (factor() === undefined ? props.over.unit : SUV_UNIT);
  const ends = () => endsOf(props.over.window).map((value) => value * scale()) as [number, number];
  const reach = () => {
    const [least, most] = endsOf(props.over.whole).map((value) => value * scale()) as [number, number];
    return factor() === undefined ? ([least, most] as const) : ([0, Math.max(most, SUV_MOST)] as const);
  };
  const setEnds = (low: number, high: number) =>
    props.onLook({ ...props.look, window: windowBetween(low / scale(), high / scale()) });
  const step = () => (reach()[1] - reach()[0]) / WINDOW_STEPS;
  const tops = () => SUV_TOPS.map((value) => ({ value: value as number, words: t().uptake.range("0", numberInWords(value)) }));
  const top = () => SUV_TOPS.find((value) => ends()[0] === 0 && Math.abs(ends()[1] - value) < step() / 2) ?? -1;
  return (
    <Popover gutter={6} placement={menuPlacement()}>
      <Popover.Trigger class="tool" aria-label={words().title} title={words().title}>
        <Icon name="blend" />
        <span class="tool-words">{words().title}</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content class="menu fusion-menu" aria-label={words().title}>
          <div class="palettes" role="radiogroup" aria-label={words().colours}>
            <For each={PALETTE_NAMES}>
              {(palette) => (
                <button
                  type="button"
                  role="radio"
                  class="palette"
                  aria-checked={props.look.palette === palette}
                  onClick={() => props.onLook({ ...props.look, palette })}
                >
                  <span class="swatch" style={{ background: gradientOf(palette, "right") }} />
                  {words().palettes[palette]}
                </button>
              )}
            </For>
          </div>
          <label class="slider">
            <span>{words().opacity}</span>
            <input
              type="range"
              class="opacity"
              min={0}
              max={OPACITY_STEPS}
              value={props.look.opacity * OPACITY_STEPS}
              onInput={(event) => props.onLook({ ...props.look, opacity: event.currentTarget.valueAsNumber / OPACITY_STEPS })}
            />
            <output>{numberInWords(props.look.opacity * 100, 0)} %</output>
          </label>
          <p class="menu-title">{`${props.over.modality} · ${unit()}`}</p>
          <Show when={factor() !== undefined}>
            <OneOf label={words().window} choices={tops()} value={top()} onChoose={(value) => setEnds(0, value)} />
          </Show>
          <label class="slider">
            <span>{words().from}</span>
            <input
              type="range"
              class="low"
              min={reach()[0]}
              max={reach()[1]}
              step={step()}
              value={ends()[0]}
              onInput={(event) => setEnds(Math.min(event.currentTarget.valueAsNumber, ends()[1] - step()), ends()[1])}
            />
            <output>{significant(Number(ends()[0].toPrecision(3)))}</output>
          </label>
          <label class="slider">
            <span>{words().to}</span>
            <input
              type="range"
              class="high"
              min={reach()[0]}
              max={reach()[1]}
              step={step()}
              value={ends()[1]}
              onInput={(event) => setEnds(ends()[0], Math.max(event.currentTarget.valueAsNumber, ends()[0] + step()))}
            />
            <output>{significant(Number(ends()[1].toPrecision(3)))}</output>
          </label>
        </Popover.Content>
      </Popover.Portal>
    </Popover>
  );
}
