/** How many images side by side: a square of little cells, chosen by pointer or by key. */
import { Popover } from "@kobalte/core/popover";
import { For, createSignal, type JSX } from "solid-js";
import { t } from "../i18n/study";
import { MOST_SIDE, type Layout } from "../state/layout";
import { Icon } from "./icons";
import { menuPlacement } from "./room";

export interface LayoutMenuProps {
  readonly layout: Layout;
  readonly onChoose: (rows: number, columns: number) => void;
}

const SIDES = Array.from({ length: MOST_SIDE }, (_, index) => index + 1);

export function LayoutMenu(props: LayoutMenuProps): JSX.Element {
  const [open, setOpen] = createSignal(false);
  const [aimed, setAimed] = createSignal<readonly [number, number] | null>(null);
  let grid!: HTMLDivElement;
  const size = () => aimed() ?? ([props.layout.rows, props.layout.columns] as const);
  const choose = (rows: number, columns: number) => {
    props.onChoose(rows, columns);
    setOpen(false);
    setAimed(null);
  };
  const step = (event: KeyboardEvent, row: number, column: number) => {
    const way = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    const [r, c] = [row + way[0]!, column + way[1]!].map((side) => Math.min(MOST_SIDE, Math.max(1, side)));
    (grid.children[(r! - 1) * MOST_SIDE + c! - 1] as HTMLElement).focus();
  };
  return (
    <Popover open={open()} onOpenChange={setOpen} gutter={6} placement={menuPlacement()}>
      <Popover.Trigger class="tool" aria-label={t().layout.title} title={t().layout.title}>
        <Icon name="grid" />
        <span class="tool-words">{t().layout.title}</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content class="menu layout-menu" aria-label={t().layout.title}>
          <p class="menu-title">{`${size()[0]} × ${size()[1]}`}</p>
          <div class="layout-grid" ref={grid} role="group" aria-label={t().layout.sides} onPointerLeave={() => setAimed(null)}>
            <For each={SIDES}>
              {(row) => (
                <For each={SIDES}>
                  {(column) => (
                    <button
                      type="button"
                      aria-label={`${row} × ${column}`}
                      aria-pressed={props.layout.rows === row && props.layout.columns === column}
                      classList={{ within: row <= size()[0] && column <= size()[1] }}
                      onPointerEnter={() => setAimed([row, column])}
                      onFocus={() => setAimed([row, column])}
                      onKeyDown={(event) => step(event, row, column)}
                      onClick={() => choose(row, column)}
                    />
                  )}
                </For>
              )}
            </For>
          </div>
        </Popover.Content>
      </Popover.Portal>
    </Popover>
  );
}
