/** The list of studies: one search field, quiet filters, rows on a desk and cards on a phone. */
import { For, Show, createEffect, createResource, on, onCleanup, onMount, type JSX } from "solid-js";
import { followChanges } from "../api/changes";
import { dicomDoor } from "../api/server";
import { findStudies } from "../api/studies";
import { uploadFile } from "../api/upload";
import { t } from "../i18n/language";
import { createStudyList, type StudyList } from "../state/studies";
import { createUploads } from "../state/uploads";
import { isTyping } from "../tools/keys";
import { ErrorNote, OneOf, SomeOf, ToolButton, type Choice } from "../ui/controls";
import { Icon } from "../ui/icons";
import { showLanguages } from "../ui/LanguageDialog";
import { StudyRowLink } from "../ui/StudyRowLink";
import { theme, toggleTheme } from "../ui/theme";
import { DropZone, FilePicker, UploadPanel } from "../ui/upload";
import { openStudyPage, studyAddress } from "./router";

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

const DAY_MS = 86_400_000;

/** The first day of a period that ends today, as YYYY-MM-DD in local time. */
function firstDay(days: number): string {
  if (days === 0) return "";
  const day = new Date(Date.now() - (days - 1) * DAY_MS);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

export function StudiesPage(props: { readonly active: boolean }): JSX.Element {
  const list = createStudyList(findStudies);
  const uploads = createUploads(uploadFile, () => list.refresh());
  let search!: HTMLInputElement;
  let rows!: HTMLUListElement;
  let body!: HTMLElement;

  createEffect(() => {
    if (!props.active) return;
    document.title = `${t().list.title} · Gantry`;
    onCleanup(followChanges(() => list.refresh()));
  });

  const focusRow = (from: Element | null, step: 1 | -1) => {
    const links = [...rows.querySelectorAll<HTMLElement>("a.study")];
    const at = links.indexOf(from as HTMLElement);
    if (at === 0 && step === -1) return search.focus();
    links[at === -1 ? 0 : at + step]?.focus();
  };

  const onKey = (event: KeyboardEvent) => {
    if (!props.active || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !isTyping(event.target)) {
      event.preventDefault();
      search.focus();
      search.select();
    }
    const inSearch = event.target === search;
    if (isTyping(event.target) && !inSearch) return;
    if (event.key === "ArrowDown" || (event.key === "ArrowUp" && !inSearch)) {
      event.preventDefault();
      focusRow(document.activeElement, event.key === "ArrowDown" ? 1 : -1);
    }
    if (event.key === "Enter" && inSearch) focusRow(null, 1);
    if (event.key === "Escape" && inSearch) clear();
  };

  createEffect(
    on(
      () => ({ ...list.state.filter }),
      () => body.scrollTo({ top: 0 }),
      { defer: true },
    ),
  );

  const clear = () => {
    search.value = "";
    list.ask({ words: "" });
  };

  onMount(() => {
    addEventListener("keydown", onKey);
    if (matchMedia("(pointer: fine)").matches) search.focus();
  });
  onCleanup(() => {
    removeEventListener("keydown", onKey);
    list.dispose();
  });

  return (
    <DropZone onFiles={(files) => uploads.add(files)}>
      <header class="list-head">
        <h1 class="brand">
          <img src="/icon.svg" alt="" width="24" height="24" />
          <span>Gantry</span>
        </h1>
        <label class="search">
          <Icon name="search" />
          <input
            ref={search}
            type="search"
            placeholder={t().list.searchHint}
            aria-label={t().list.search}
            autocomplete="off"
            spellcheck={false}
            enterkeyhint="search"
            onInput={(event) => list.ask({ words: event.currentTarget.value })}
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
        <div class="head-end">
          <FilePicker onFiles={(files) => uploads.add(files)} />
          <ToolButton icon="languages" words={t().language.title} onUse={showLanguages} />
          <ToolButton
            icon={theme() === "dark" ? "sun" : "moon"}
            words={theme() === "dark" ? t().theme.light : t().theme.dark}
            onUse={toggleTheme}
          />
        </div>
      </header>
      <Filters list={list} />
      <main class="list-body" ref={body}>
        <Rows list={list} ref={(element) => (rows = element)} onClear={clear} />
      </main>
      <UploadPanel uploads={uploads} />
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
          value={periods().find(({ value }) => firstDay(value) === state.filter.from)?.value ?? 0}
          onChoose={(days) => props.list.ask({ from: firstDay(days) })}
        />
      </div>
      <p class="amount" aria-live="polite" classList={{ waiting: state.busy }}>
        <Show when={!state.fresh && (!state.error || state.rows.length > 0)}>{t().counts.studies(state.total)}</Show>
      </p>
    </search>
  );
}

interface RowsProps {
  readonly list: StudyList;
  readonly ref: (element: HTMLUListElement) => void;
  readonly onClear: () => void;
}

function Rows(props: RowsProps): JSX.Element {
  const { list } = props;
  const { state } = list;
  return (
    <>
      <Show when={state.newer}>
        <button type="button" class="newer" onClick={() => list.showNewer()}>
          {t().list.newer}
        </button>
      </Show>
      <ul class="studies" ref={props.ref} aria-busy={state.busy} classList={{ stale: state.stale }} aria-label={t().list.title}>
        <For each={state.rows}>
          {(study) => (
            <li>
              <StudyRowLink
                study={study}
                address={studyAddress(study.studyUid)}
                onOpen={() => openStudyPage(study.studyUid)}
              />
            </li>
          )}
        </For>
      </ul>
      <Show when={state.fresh && !state.error}>
        <div class="studies" aria-hidden="true">
          <For each={Array.from({ length: 8 })}>{() => <div class="study ghost" />}</For>
        </div>
      </Show>
      <Show when={state.error} keyed>
        {(error) => (
          <div class="in-list">
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
                list.ask({ modalities: [], from: "", to: "" });
              }}
            >
              {t().list.showAll}
            </button>
          </Empty>
        </Show>
      </Show>
      <Show when={state.rows.length > 0 && state.rows.length < state.total && !state.error}>
        <MoreBelow onSeen={() => list.more()} shown={state.rows.length} total={state.total} />
      </Show>
    </>
  );
}

function isFiltered(list: StudyList): boolean {
  const { words, modalities, from, to } = list.state.filter;
  return words.trim() !== "" || modalities.length > 0 || from !== "" || to !== "";
}

interface MoreBelowProps {
  readonly shown: number;
  readonly total: number;
  readonly onSeen: () => void;
}

/** Asks for the next page when the end of the list comes near. */
function MoreBelow(props: MoreBelowProps): JSX.Element {
  let end!: HTMLParagraphElement;
  onMount(() => {
    const watcher = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && props.onSeen(),
      { rootMargin: "800px" },
    );
    // Watching again after every page asks again while the end is still in sight.
    createEffect(() => {
      watcher.unobserve(end);
      if (props.shown > 0) watcher.observe(end);
    });
    onCleanup(() => watcher.disconnect());
  });
  return (
    <p class="more" ref={end}>
      {t().list.shownOf(props.shown, props.total)}
    </p>
  );
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

