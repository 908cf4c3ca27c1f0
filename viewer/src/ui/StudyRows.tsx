/**
 * The rows of the study list. Only those in sight exist, each at its own place in a list that is as long
 * as the answer says; the row that has the focus stays, wherever the list is scrolled to.
 */
import { For, Show, createMemo, createSignal, onCleanup, onMount, type JSX } from "solid-js";
import { t } from "../i18n/language";
import { USUAL_COLUMNS, columns, type ColumnId } from "../state/columns";
import type { StudyList } from "../state/studies";
import { StudyRowLink } from "./StudyRowLink";

/** Rows beyond the edges, so that a turn of the wheel meets rows that are already there. */
const BEYOND = 8;
/** Browsers draw nothing beyond some 17 million pixels; whoever is so far down looks for something else. */
const MOST_ROWS = 150_000;
/** Turned by more than this at once, rows are changed and not added at an edge. */
const A_FEW_ROWS = 4;
const ROW_PIXELS = 60;
/** A card with the gap below it. */
const CARD_PIXELS = 112;
/** The same width as in list.css. */
const CARDS = matchMedia("(max-width: 680px)");

/** The least pixels of each column, and its share of what is left. */
const WIDTHS: Readonly<Record<ColumnId, readonly [number, number]>> = {
  name: [140, 1.2],
  id: [90, 0.6],
  born: [92, 0.4],
  sex: [50, 0.2],
  description: [110, 1.4],
  accession: [90, 0.6],
  modality: [84, 0.45],
  referring: [110, 0.8],
  when: [100, 0.4],
  series: [70, 0.3],
  images: [76, 0.3],
};
/** The thumbnail, and the space at both ends. */
const [PICTURE_PIXELS, ENDS_PIXELS, GAP_PIXELS] = [44, 48, 16];

export interface RowsControl {
  /** Moves the focus by so many rows; the first use of it goes to the row that had it last. */
  step(by: number): void;
  /** Moves the focus to a row from 0, or to the last for a number beyond it. */
  focus(index: number): void;
  /** The row that has the focus; -1 for none. */
  focused(): number;
  /** How many rows are seen at once. */
  pageSize(): number;
  toTop(): void;
}

export interface StudyRowsProps {
  readonly list: StudyList;
  readonly scroller: HTMLElement;
  readonly address: (study: string) => string;
  readonly onOpen: (study: string) => void;
  readonly control: (control: RowsControl) => void;
}

export function StudyRows(props: StudyRowsProps): JSX.Element {
  const { scroller } = props;
  const [asCards, setAsCards] = createSignal(CARDS.matches);
  const [top, setTop] = createSignal(0);
  const [height, setHeight] = createSignal(innerHeight);
  const [current, setCurrent] = createSignal(0);
  /** For a moment while the list is turned far: the row that has the focus, and no other. */
  const [alone, setAlone] = createSignal(false);
  let rows!: HTMLUListElement;

  const pixels = () => (asCards() ? CARD_PIXELS : ROW_PIXELS);
  const shownColumns = () => (asCards() ? USUAL_COLUMNS : columns());
  const tracks = () =>
    [`${PICTURE_PIXELS}px`, ...shownColumns().map((id) => `minmax(${WIDTHS[id][0]}px, ${WIDTHS[id][1]}fr)`)].join(" ");
  const leastPixels = () =>
    shownColumns().reduce((sum, id) => sum + GAP_PIXELS + WIDTHS[id][0], PICTURE_PIXELS + ENDS_PIXELS);
  const length = () => Math.min(props.list.state.total, MOST_ROWS);
  const inSight = createMemo(
    () => {
      const first = Math.floor(top() / pixels());
      return { first, last: Math.min(length() - 1, Math.floor((top() + height()) / pixels())) };
    },
    undefined,
    { equals: (a, b) => a.first === b.first && a.last === b.last },
  );
  const indices = createMemo(() => {
    if (alone()) return [current()];
    const { first, last } = inSight();
    const [from, to] = [Math.max(0, first - BEYOND), Math.min(length() - 1, last + BEYOND)];
    props.list.see(from, to);
    const near = Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
    const kept = current();
    if (kept >= length() || (kept >= from && kept <= to)) return near;
    return kept < from ? [kept, ...near] : [...near, kept];
  });

  const look = () => {
    // While a study is open the list has no size; it comes back where it was.
    if (scroller.clientHeight === 0) return;
    setHeight(scroller.clientHeight);
    const now = Math.max(0, scroller.scrollTop - rows.offsetTop);
    // An element that is moved loses the focus; the others are made anew around it instead.
    setAlone(Math.abs(now - top()) > A_FEW_ROWS * pixels() && focused() !== -1);
    setTop(now);
    setAlone(false);
  };
  const change = () => {
    const at = inSight().first;
    setAsCards(CARDS.matches);
    scroller.scrollTop = rows.offsetTop + at * pixels();
    look();
  };

  const linkAt = (index: number) => rows.querySelector<HTMLElement>(`[aria-posinset="${index + 1}"] > a`);
  const focused = () => {
    const place = document.activeElement?.closest(".studies > li")?.getAttribute("aria-posinset");
    return place && rows.contains(document.activeElement) ? Number(place) - 1 : -1;
  };
  const focus = (wanted: number) => {
    if (length() === 0) return;
    const index = Math.min(Math.max(0, wanted), length() - 1);
    setCurrent(index);
    // What sticks to the top of the list covers as much of it as stands above the first row.
    const covered = rows.offsetTop;
    const at = covered + index * pixels();
    if (at - covered < scroller.scrollTop) scroller.scrollTop = index === 0 ? 0 : at - covered;
    else if (at + pixels() > scroller.scrollTop + scroller.clientHeight)
      scroller.scrollTop = at + pixels() - scroller.clientHeight;
    look();
    linkAt(index)?.focus({ preventScroll: true });
  };

  onMount(() => {
    const watcher = new ResizeObserver(look);
    watcher.observe(scroller);
    scroller.addEventListener("scroll", look, { passive: true });
    CARDS.addEventListener("change", change);
    onCleanup(() => {
      watcher.disconnect();
      scroller.removeEventListener("scroll", look);
      CARDS.removeEventListener("change", change);
    });
    props.control({
      focus,
      focused,
      step: (by) => focus(focused() === -1 ? current() : focused() + by),
      pageSize: () => Math.max(1, Math.floor(height() / pixels()) - 1),
      toTop() {
        setCurrent(0);
        scroller.scrollTop = 0;
        look();
      },
    });
  });

  return (
    <div class="table" style={{ "--columns": tracks(), "--least": `${asCards() ? 0 : leastPixels()}px` }}>
      <Show when={!asCards() && length() > 0}>
        {/* Every cell says by itself what it is; a reader hears the rows alone. */}
        <div class="column-heads" aria-hidden="true">
          <span />
          <For each={shownColumns()}>{(id) => <span class={id}>{t().columns.names[id]}</span>}</For>
        </div>
      </Show>
      <ul
        class="studies"
        ref={rows}
        aria-label={t().list.title}
        aria-busy={props.list.state.busy}
        classList={{ stale: props.list.state.stale }}
        style={{ height: `${length() * pixels()}px`, "--row": `${pixels()}px` }}
      >
        <For each={indices()}>
          {(index) => (
            <li aria-setsize={length()} aria-posinset={index + 1} style={{ top: `${index * pixels()}px` }}>
              <StudyRowLink
                study={props.list.row(index)}
                columns={shownColumns()}
                address={props.address}
                onOpen={props.onOpen}
                reached={index === current()}
                onFocus={() => setCurrent(index)}
              />
            </li>
          )}
        </For>
      </ul>
    </div>
  );
}
