/** The list of studies: one search field, quiet filters, rows on a desk and cards on a phone. */
import { For, Show, createEffect, createResource, createSignal, on, onCleanup, onMount, type JSX } from "solid-js";
import { followChanges } from "../api/changes";
import { dicomDoor } from "../api/server";
import { findStudies, type StudyFilter } from "../api/studies";
import { listed } from "../dicom/words";
import { t } from "../i18n/language";
import { createStudyList, type StudyList } from "../state/studies";
import { isTyping } from "../tools/typing";
import { ColumnsMenu } from "../ui/ColumnsMenu";
import { ErrorNote, OneOf, SomeOf, ToolButton, type Choice } from "../ui/controls";
import { DropZone } from "../ui/DropZone";
import { Icon } from "../ui/icons";
import { showLanguages } from "../ui/languages";
import { OpenFiles } from "../ui/OpenFiles";
import { SearchesMenu } from "../ui/SearchesMenu";
import { StudyRows, type RowsControl } from "../ui/StudyRows";
import { theme, toggleTheme } from "../ui/theme";
import { localFiles, readHere, store } from "./localfiles";
import { openLocalPage, openStudyPage, studyAddress } from "./router";
import { stored } from "./uploads";

function modalities(): readonly Choice<string>[] {
  const { ct, mr, us, xray, mg, angio, nuclear, ecg } = t().kinds;
  return [
    { value: "CT", ...ct },
    { value: "MR", ...mr },
    { value: "US", ...us },
    { value: "CR,DX", ...xray },
    { value: "MG", ...mg },
    { value: "XA,RF", ...angio },
    { value: "PT,NM", ...nuclear },
    { value: "ECG", ...ecg },
  ];
}

function periods(): readonly Choice<number>[] {
  const { any, today, week, month, year } = t().periods;
  return [
    { value: 0, words: any },
    { value: 1, words: today },
    { value: 7, words: week },
    { value: 30, words: month },
    { value: 365, words: year },
  ];
}

/** "smith · CT · 7 days" */
function filterInWords({ words, modalities: codes, days }: StudyFilter): string {
  const kinds = codes.map((code) => modalities().find(({ value }) => value === code)?.words ?? code);
  return listed([words.trim(), ...kinds, days > 0 ? periods().find(({ value }) => value === days)?.words : undefined]);
}

export function StudiesPage(props: { readonly active: boolean }): JSX.Element {
  const list = createStudyList(findStudies);
  createEffect(on(stored, () => list.refresh(), { defer: true }));
  let search!: HTMLInputElement;
  let rows: RowsControl | undefined;
  const [body, setBody] = createSignal<HTMLElement>();

  createEffect(() => {
    if (!props.active) return;
    document.title = `${t().list.title} · Gantry`;
    onCleanup(followChanges(() => list.refresh()));
  });

  /** Where a key goes to from a row of the list, or from nowhere. */
  const moves: Readonly<Record<string, (control: RowsControl) => void>> = {
    ArrowDown: (control) => control.step(1),
    ArrowUp: (control) => (control.focused() === 0 ? search.focus() : control.step(-1)),
    PageDown: (control) => control.step(control.pageSize()),
    PageUp: (control) => control.step(-control.pageSize()),
    Home: (control) => control.focus(0),
    End: (control) => control.focus(Number.MAX_SAFE_INTEGER),
  };

  const onKey = (event: KeyboardEvent) => {
    if (!props.active || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target === search) return onSearchKey(event);
    if (isTyping(event.target)) return;
    if (event.key === "/") {
      event.preventDefault();
      search.focus();
      search.select();
      return;
    }
    const isFree = event.target === document.body || rows?.focused() !== -1;
    if (!isFree || !rows) return;
    const move = moves[event.key];
    if (move) {
      event.preventDefault();
      move(rows);
    } else if (event.key.length === 1 && event.key !== " ") {
      // The letter itself arrives in the field that now has the focus.
      search.focus();
    }
  };

  const onSearchKey = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Escape") clear();
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    rows?.focus(0);
  };

  // What is asked anew is read from its first row.
  createEffect(
    on(
      () => ({ ...list.state.filter }),
      () => rows?.toTop(),
      { defer: true },
    ),
  );

  const clear = () => list.ask({ words: "" });

  onMount(() => {
    addEventListener("keydown", onKey);
    if (matchMedia("(pointer: fine)").matches) search.focus();
  });
  onCleanup(() => {
    removeEventListener("keydown", onKey);
    list.dispose();
  });

  return (
    <DropZone onRead={(files) => void readHere(files)} onStore={(files) => void store(files)}>
      <header class="list-head">
        <h1 class="brand">
          <img src="/icon.svg" alt="" width="24" height="24" />
          <span>Gantry</span>
        </h1>
        <div class="search">
          <Icon name="search" />
          <input
            ref={search}
            type="search"
            placeholder={t().list.searchHint}
            aria-label={t().list.search}
            autocomplete="off"
            spellcheck={false}
            enterkeyhint="search"
            value={list.state.filter.words}
            onInput={(event) => list.ask({ words: event.currentTarget.value })}
          />
          <kbd aria-hidden="true">/</kbd>
          <SearchesMenu
            filter={list.state.filter}
            inWords={filterInWords}
            onChoose={(filter) => {
              list.ask(filter);
              search.focus();
            }}
          />
        </div>
        <div class="head-end">
          <Show when={localFiles()?.state().total}>
            <ToolButton icon="laptop" words={t().local.title} onUse={openLocalPage} />
          </Show>
          <OpenFiles onRead={(files) => void readHere(files)} onStore={(files) => void store(files)} />
          <ToolButton icon="languages" words={t().language.title} onUse={showLanguages} />
          <ToolButton
            icon={theme() === "dark" ? "sun" : "moon"}
            words={theme() === "dark" ? t().theme.light : t().theme.dark}
            onUse={toggleTheme}
          />
        </div>
      </header>
      <Filters list={list} />
      <main class="list-body" ref={setBody}>
        <Show when={body()}>
          {(scroller) => (
            <Rows list={list} scroller={scroller()} control={(control) => (rows = control)} onClear={clear} />
          )}
        </Show>
      </main>
    </DropZone>
  );
}

function Filters(props: { readonly list: StudyList }): JSX.Element {
  const { state } = props.list;
  return (
    <search class="filters">
      <div class="filters-scroll">
        <SomeOf
          label={t().list.modality}
          choices={modalities()}
          values={state.filter.modalities}
          onChoose={(chosen) => props.list.ask({ modalities: chosen })}
        />
        <OneOf
          label={t().list.date}
          choices={periods()}
          value={state.filter.days}
          onChoose={(days) => props.list.ask({ days })}
        />
      </div>
      <p class="amount" aria-live="polite" classList={{ waiting: state.busy }}>
        <Show when={!state.fresh && (!state.error || state.total > 0)}>
          {state.isLeast ? t().counts.studiesAtLeast(state.total) : t().counts.studies(state.total)}
        </Show>
      </p>
      <ColumnsMenu />
    </search>
  );
}

interface RowsProps {
  readonly list: StudyList;
  readonly scroller: HTMLElement;
  readonly control: (control: RowsControl) => void;
  readonly onClear: () => void;
}

function Rows(props: RowsProps): JSX.Element {
  const { list } = props;
  const { state } = list;
  let control: RowsControl | undefined;
  const showNewer = () => {
    list.showNewer();
    control?.toTop();
  };
  return (
    <>
      <Show when={state.newer}>
        <button type="button" class="newer" onClick={showNewer}>
          {t().list.newer}
        </button>
      </Show>
      <StudyRows
        list={list}
        scroller={props.scroller}
        address={studyAddress}
        onOpen={openStudyPage}
        control={(given) => props.control((control = given))}
      />
      <Show when={state.fresh && !state.error}>
        <div class="first-studies" aria-hidden="true">
          <For each={Array.from({ length: 8 })}>{() => <div class="study ghost" />}</For>
        </div>
      </Show>
      <Show when={state.error} keyed>
        {(error) => (
          <div class="in-list" classList={{ over: state.total > 0 }}>
            <ErrorNote error={error} onRetry={() => list.retry()} />
          </div>
        )}
      </Show>
      <Show when={!state.fresh && state.total === 0 && !state.error}>
        <Show when={isFiltered(list)} fallback={<EmptyArchive />}>
          <Empty title={t().list.nothingFits} words={t().list.nothingFitsAdvice}>
            <button
              type="button"
              class="button"
              onClick={() => {
                props.onClear();
                list.ask({ modalities: [], days: 0 });
              }}
            >
              {t().list.showAll}
            </button>
          </Empty>
        </Show>
      </Show>
    </>
  );
}

function isFiltered(list: StudyList): boolean {
  const { words, modalities, days } = list.state.filter;
  return words.trim() !== "" || modalities.length > 0 || days > 0;
}

function EmptyArchive(): JSX.Element {
  const [door] = createResource(dicomDoor);
  return (
    <Empty title={t().list.empty} words={t().list.emptyAdvice}>
      <Show when={door.state === "ready" && door()}>
        {(known) => (
          <code class="command">
            storescu -aec {known().aet} +sd +r {location.hostname} {known().port} folder/
          </code>
        )}
      </Show>
    </Empty>
  );
}

interface EmptyProps {
  readonly title: string;
  readonly words: string;
  readonly children: JSX.Element;
}

function Empty(props: EmptyProps): JSX.Element {
  return (
    <div class="empty">
      <Icon name="inbox" />
      <h2>{props.title}</h2>
      <p>{props.words}</p>
      {props.children}
    </div>
  );
}

