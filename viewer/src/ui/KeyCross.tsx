/** Where the keys measure: a cross on the image, and the same in words for who does not see it. */
import { Show, createMemo, type JSX } from "solid-js";
import { valuesInWords } from "../dicom/measurewords";
import { listed } from "../dicom/words";
import { t } from "../i18n/study";
import type { Cell } from "../render/cell";
import { isSameWhere } from "../state/space";
import type { KeyHand } from "../tools/keyhand";
import type { Measuring } from "../tools/measuring";
import { sightOf } from "./sight";

const ARM_PX = 9;
const GAP_PX = 3;

export interface KeyCrossProps {
  readonly cell: Cell;
  readonly active: boolean;
  readonly hand: KeyHand;
}

export function KeyCross(props: KeyCrossProps): JSX.Element {
  const place = createMemo(() => {
    const cross = props.hand.cross();
    const sight = props.active ? sightOf(props.cell) : undefined;
    return cross && sight && isSameWhere(cross.where, sight) ? sight.toScreen(cross.at) : undefined;
  });
  const path = () => {
    const { x, y } = place()!;
    const arm = (dx: number, dy: number) => `M${x + dx * GAP_PX} ${y + dy * GAP_PX}L${x + dx * ARM_PX} ${y + dy * ARM_PX}`;
    return [arm(1, 0), arm(-1, 0), arm(0, 1), arm(0, -1)].join("");
  };
  return (
    <Show when={place()}>
      <svg class="key-cross" aria-hidden="true">
        <path class="halo" d={path()} />
        <path d={path()} />
      </svg>
    </Show>
  );
}

/** Said by screen readers: where the cross is, and what is measured so far, or was measured last. */
export function KeyStatus(props: { readonly hand: KeyHand; readonly measuring: Measuring }): JSX.Element {
  const words = () => {
    const cross = props.hand.cross();
    if (!cross) return "";
    const shape = props.measuring.underway() ?? props.measuring.list().find(({ id }) => id === props.measuring.selected());
    // Pixels are counted from 1, as everywhere on the page.
    const [column, row] = [Math.round(cross.at.x) + 1, Math.round(cross.at.y) + 1];
    return listed([t().measure.aimedAt(column, row), ...(shape ? valuesInWords(shape) : [])], ". ");
  };
  return (
    <p class="unseen" role="status">
      {words()}
    </p>
  );
}
