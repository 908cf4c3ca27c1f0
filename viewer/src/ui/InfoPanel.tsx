/**
 * All attributes of what is shown: found as one types, folded, copied.
 *
 * Of the rows only those in sight exist. Values are text and nothing else, whatever stands in them.
 */
import { For, Show, createEffect, createMemo, createSignal, on, onCleanup, onMount, type JSX } from "solid-js";
import "./styles/info.css";
import { storedHead } from "../api/dicomweb";
import { dictionary } from "../api/dictionary";
import {
  found,
  inlineBytes,
  isPrivate,
  lineOf,
  partsOf,
  rowsOf,
  tagShown,
  type Dictionary,
  type Row,
} from "../dicom/attributes";
import type { DicomObject } from "../dicom/model";
import { t } from "../i18n/study";
import { takeInSlices, type Taken } from "../state/slices";
import { AttributeValue } from "./AttributeValue";
import { Icon } from "./icons";

export interface InfoPanelProps {
  /** Undefined while nothing is shown. */
  readonly object: DicomObject | undefined;
  /** From 1. */
  readonly frame: number;
  /** Where the object is had from. */
  readonly path: string | undefined;
  readonly onClose: () => void;
}

/** Whoever looks for something sees no more than this, and types on. */
const MOST_FOUND = 2000;
/** A browser draws nothing beyond some 17 million pixels. */
const MOST_ROWS = 200_000;
const ROW_PIXELS = 26;
/** A finger's row has two lines. */
const FINGER_ROW_PIXELS = 48;
const BEYOND = 6;
/** Whoever scrolls through images does not ask for the head of each file. */
const HEAD_AFTER_MS = 250;
/** Small enough to be kept for as long as the page lives. */
const heads = new Map<string, DicomObject>();

const NONE: Taken<Row> = { values: [], isDone: false, isCut: false };
const NO_NAMES: Dictionary = () => undefined;

export default function InfoPanel(props: InfoPanelProps): JSX.Element {
  const [names, setNames] = createSignal<Dictionary>(NO_NAMES);
  const [head, setHead] = createSignal<DicomObject | undefined>();
  const [words, setWords] = createSignal("");
  const [open, setOpen] = createSignal<ReadonlySet<string>>(new Set(["frame", "object"]));
  const [taken, setTaken] = createSignal(NONE);
  const [chosen, setChosen] = createSignal<string | null>(null);
  let field!: HTMLInputElement;
  let tree!: HTMLDivElement;

  // Without names the tags are still read; the next opening asks again.
  void dictionary().then((known) => setNames(() => known), () => undefined);
  createEffect(
    on(
      () => props.path,
      (path) => {
        setHead(path === undefined ? undefined : heads.get(path));
        if (path === undefined || heads.has(path)) return;
        const asked = new AbortController();
        const later = setTimeout(() => void read(path, asked.signal), HEAD_AFTER_MS);
        onCleanup(() => {
          clearTimeout(later);
          asked.abort();
        });
      },
    ),
  );
  const read = async (path: string, signal: AbortSignal) => {
    try {
      heads.set(path, await storedHead(path, signal));
      setHead(heads.get(path));
    } catch {
      // The rest of the object is read without it.
    }
  };

  const parts = createMemo(() => (props.object ? partsOf(props.object, props.frame, head()) : []));
  const isSearch = () => words().trim() !== "";
  createEffect(() => {
    const steps = isSearch() ? found(parts(), words(), names()) : rowsOf(parts(), open());
    onCleanup(takeInSlices(steps, isSearch() ? MOST_FOUND : MOST_ROWS, setTaken));
  });
  const rows = () => taken().values;
  const at = createMemo(() => rows().findIndex(({ path }) => path === chosen()));
  const row = () => rows()[at()];
  const isOpen = (one: Row) => isSearch() || open().has(one.path);

  const fold = (one: Row, opens: boolean) => {
    const next = new Set(open());
    if (opens) next.add(one.path);
    else next.delete(one.path);
    setOpen(next);
  };
  const choose = (index: number) => {
    const one = rows()[Math.max(0, Math.min(rows().length - 1, index))];
    if (one) setChosen(one.path);
  };
  const above = (): number => {
    const depth = row()?.depth ?? 0;
    for (let index = at() - 1; index >= 0; index -= 1) if (rows()[index]!.depth < depth) return index;
    return at();
  };
  const copyChosen = () => document.querySelector<HTMLButtonElement>(".attribute-value .copy")?.click();

  const onKey = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(tree.clientHeight / rowPixels()) - 1);
    const now = row();
    const acts: Readonly<Record<string, () => void>> = {
      ArrowDown: () => choose(at() + 1),
      ArrowUp: () => choose(at() < 0 ? 0 : at() - 1),
      PageDown: () => choose(at() + page),
      PageUp: () => choose(at() - page),
      Home: () => choose(0),
      End: () => choose(rows().length - 1),
      ArrowRight: () => (now && now.below > 0 && !isOpen(now) ? fold(now, true) : choose(at() + 1)),
      ArrowLeft: () => (now && open().has(now.path) && !isSearch() ? fold(now, false) : choose(above())),
      Enter: () => now && (now.below > 0 && !isSearch() ? fold(now, !open().has(now.path)) : copyChosen()),
      " ": () => now && now.below > 0 && fold(now, !open().has(now.path)),
      Escape: () => props.onClose(),
    };
    const isCopy = (event.ctrlKey || event.metaKey) && event.key === "c" && !getSelection()?.toString();
    const held = event.ctrlKey || event.metaKey || event.altKey;
    const act = isCopy ? copyChosen : held ? undefined : acts[event.key];
    if (act) {
      event.preventDefault();
      return act();
    }
    // Letters are for the search.
    if (!held && event.key.length === 1) field.focus();
  };
  const onFieldKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      tree.focus();
      if (at() < 0) choose(0);
    }
    if (event.key === "Escape") {
      event.preventDefault();
      if (words()) setWords("");
      else props.onClose();
    }
  };

  const [top, setTop] = createSignal(0);
  const [height, setHeight] = createSignal(innerHeight);
  const coarse = matchMedia("(pointer: coarse)");
  const rowPixels = () => (coarse.matches ? FINGER_ROW_PIXELS : ROW_PIXELS);
  const inSight = createMemo(() => {
    const first = Math.max(0, Math.floor(top() / rowPixels()) - BEYOND);
    const last = Math.min(rows().length, Math.ceil((top() + height()) / rowPixels()) + BEYOND);
    return Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
  });
  onMount(() => {
    const watcher = new ResizeObserver(() => setHeight(tree.clientHeight));
    watcher.observe(tree);
    onCleanup(() => watcher.disconnect());
    field.focus({ preventScroll: true });
  });
  createEffect(
    on([at, rowPixels], ([index, pixels]) => {
      if (index < 0) return;
      if (index * pixels < tree.scrollTop) tree.scrollTop = index * pixels;
      if ((index + 1) * pixels > tree.scrollTop + tree.clientHeight)
        tree.scrollTop = (index + 1) * pixels - tree.clientHeight;
    }),
  );
  createEffect(on(words, () => (tree.scrollTop = 0), { defer: true }));

  return (
    <aside class="info-panel" aria-label={t().info.title}>
      <header>
        <h2>{t().info.title}</h2>
        <span class="aside">{props.object ? t().info.attributes(Object.keys(props.object).length) : ""}</span>
        <button type="button" class="tool" aria-label={t().info.close} title={t().info.close} onClick={() => props.onClose()}>
          <Icon name="close" />
        </button>
      </header>
      <label class="info-search">
        <Icon name="search" />
        <input
          ref={field}
          type="search"
          aria-label={t().info.search}
          placeholder={t().info.searchHint}
          maxLength={200}
          value={words()}
          onInput={(event) => setWords(event.currentTarget.value)}
          onKeyDown={onFieldKey}
        />
      </label>
      <div
        class="info-rows"
        role="tree"
        tabIndex={0}
        aria-label={t().info.title}
        aria-busy={!taken().isDone}
        aria-activedescendant={at() >= 0 ? `attribute-${at()}` : undefined}
        ref={tree}
        onScroll={() => setTop(tree.scrollTop)}
        onKeyDown={onKey}
      >
        <div role="presentation" style={{ height: `${rows().length * rowPixels()}px` }}>
          <For each={inSight()}>
            {(index) => (
              <Show when={rows()[index]} keyed>
                {(one) => (
                  <AttributeRow
                    row={one}
                    index={index}
                    pixels={rowPixels()}
                    frame={props.frame}
                    names={names()}
                    isOpen={isOpen(one)}
                    isChosen={one.path === chosen()}
                    onChoose={() => {
                      setChosen(one.path);
                      if (one.below > 0 && !isSearch()) fold(one, !open().has(one.path));
                    }}
                  />
                )}
              </Show>
            )}
          </For>
        </div>
      </div>
      <p class="info-note" role="status">
        <Show when={!props.object}>{t().info.empty}</Show>
        <Show when={props.object && taken().isDone && rows().length === 0}>{t().info.nothing}</Show>
        <Show when={taken().isCut}>{t().info.more(rows().length)}</Show>
      </p>
      <Show when={row()?.kind === "attribute" && row()} keyed>
        {(one) => <AttributeValue row={one} title={titleOf(one, names(), props.frame)} object={props.object!} />}
      </Show>
    </aside>
  );
}

interface AttributeRowProps {
  readonly row: Row;
  readonly index: number;
  readonly pixels: number;
  readonly frame: number;
  readonly names: Dictionary;
  readonly isOpen: boolean;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}

function AttributeRow(props: AttributeRowProps): JSX.Element {
  return (
    <div
      id={`attribute-${props.index}`}
      class={`info-row ${props.row.kind}`}
      role="treeitem"
      aria-level={props.row.depth + 1}
      aria-expanded={props.row.below > 0 ? props.isOpen : undefined}
      aria-selected={props.isChosen}
      style={{ top: `${props.index * props.pixels}px`, height: `${props.pixels}px`, "--depth": Math.min(8, props.row.depth) }}
      onClick={() => props.onChoose()}
    >
      <span class="info-fold">
        <Show when={props.row.below > 0}>
          <Icon name="chevronDown" />
        </Show>
      </span>
      <span class="info-name">
        <Show when={props.row.kind === "attribute"}>
          <small>{tagShown(props.row.tag)}</small>
        </Show>
        {titleOf(props.row, props.names, props.frame)}
      </span>
      <span class="info-value">{valueOf(props.row)}</span>
    </div>
  );
}

function titleOf(row: Row, names: Dictionary, frame: number): string {
  if (row.kind === "item") return t().info.item(row.item);
  if (row.kind === "part") return row.part === "frame" ? t().info.parts.frame(frame) : t().info.parts[row.part];
  if (!isPrivate(row.tag)) return names(row.tag)?.name ?? (names === NO_NAMES ? "" : t().info.unknown);
  return row.creator === undefined ? t().info.privateOf : t().info.creator(row.creator);
}

function valueOf(row: Row): string {
  if (row.kind !== "attribute") return t().info.attributes(row.below);
  if (row.element?.vr === "SQ") return t().info.items(row.below);
  const bytes = inlineBytes(row.element);
  if (bytes !== undefined) return t().info.bytes(bytes);
  return row.element?.BulkDataURI ? t().info.apart : lineOf(row.element);
}
