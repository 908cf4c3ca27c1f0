/** The box of a solid thing that is seen: six faces to move, and its edges on the picture. */
import { Popover } from "@kobalte/core/popover";
import { For, Show, createMemo, type JSX } from "solid-js";
import { FACES, WHOLE, isWhole, withFace, type Crop } from "../dicom/crop";
import { numberInWords } from "../i18n/language";
import { t } from "../i18n/study";
import type { Cell } from "../render/cell";
import { Icon } from "./icons";
import { menuPlacement } from "./room";

export interface CropMenuProps {
  readonly crop: Crop;
  readonly onCrop: (crop: Crop) => void;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
}

/** Steps of a slider from one face to the opposite one. */
const STEPS = 200;

export function CropMenu(props: CropMenuProps): JSX.Element {
  const words = () => t().crop;
  return (
    <Popover gutter={6} placement={menuPlacement()} open={props.open} onOpenChange={props.onOpen}>
      <Popover.Trigger class="tool" aria-label={words().title} title={words().title} aria-pressed={!isWhole(props.crop)}>
        <Icon name="crop" />
        <span class="tool-words">{words().title}</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content class="menu crop-menu" aria-label={words().title}>
          <For each={FACES}>
            {(face) => (
              <label class="slider">
                <span>{words().faces[face]}</span>
                <input
                  type="range"
                  min={0}
                  max={STEPS}
                  value={props.crop[face] * STEPS}
                  onInput={(event) => props.onCrop(withFace(props.crop, face, event.currentTarget.valueAsNumber / STEPS))}
                />
                <output>{numberInWords(props.crop[face] * 100, 0)} %</output>
              </label>
            )}
          </For>
          <button type="button" class="button" disabled={isWhole(props.crop)} onClick={() => props.onCrop(WHOLE)}>
            <Icon name="reset" /> {words().whole}
          </button>
        </Popover.Content>
      </Popover.Portal>
    </Popover>
  );
}

export interface CropBoxProps {
  readonly cell: Cell;
  /** Drawn even where nothing is cut off. */
  readonly always: boolean;
}

export function CropBox(props: CropBoxProps): JSX.Element {
  const edges = createMemo(() => {
    const crop = props.cell.shown()?.crop;
    const view = props.cell.view();
    if (!crop || !view || (isWhole(crop.faces) && !props.always)) return [];
    return crop.edges.map(([a, b]) => [view.placeOf(a), view.placeOf(b)] as const);
  });
  return (
    <Show when={edges().length > 0}>
      <svg class="crop-box" aria-hidden="true">
        <For each={edges()}>{([a, b]) => <line x1={a.x} y1={a.y} x2={b.x} y2={b.y} />}</For>
      </svg>
    </Show>
  );
}
