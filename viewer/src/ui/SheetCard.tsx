/** What holds no picture, made readable: reports, documents, waveforms, plans. */
import { For, Match, Show, Switch, createSignal, type JSX } from "solid-js";
import { bulkData, instancePath } from "../api/dicomweb";
import { ApiError } from "../api/http";
import type { Sheet } from "../dicom/displaysets";
import { facts, waveformGroups } from "../dicom/facts";
import { TAG, text } from "../dicom/model";
import { reportLines, reportTitle } from "../dicom/report";
import { modalityInWords } from "../dicom/words";
import { numberInWords } from "../i18n/language";
import { t } from "../i18n/study";
import { isLocal, localDocument } from "../api/localfiles";
import { ErrorNote } from "./controls";
import { Icon } from "./icons";

export interface SheetCardProps {
  readonly sheet: Sheet;
  readonly study: string;
}

export function SheetCard(props: SheetCardProps): JSX.Element {
  return (
    <div class="sheet-scroll">
      <article class="sheet">
        <h2>{title(props.sheet)}</h2>
        <Facts sheet={props.sheet} />
        <Switch fallback={<p class="aside">{t().sheet.noPicture}</p>}>
          <Match when={props.sheet.sheet === "report"}>
            <Report sheet={props.sheet} />
          </Match>
          <Match when={props.sheet.sheet === "document"}>
            <Document sheet={props.sheet} study={props.study} />
          </Match>
          <Match when={props.sheet.sheet === "waveform"}>
            <Waveform sheet={props.sheet} />
          </Match>
          <Match when={props.sheet.sheet === "undrawn"}>
            <p class="aside">{t().sheet.undrawn}</p>
          </Match>
          <Match when={props.sheet.sheet === "video"}>
            <p class="aside">{t().sheet.video}</p>
          </Match>
        </Switch>
      </article>
    </div>
  );
}

function title(sheet: Sheet): string {
  if (sheet.sheet === "report") return reportTitle(sheet.instance);
  return text(sheet.instance, TAG.documentTitle) ?? (sheet.description || modalityInWords(sheet.modality));
}

function Facts(props: { readonly sheet: Sheet }): JSX.Element {
  return (
    <dl class="facts">
      <For each={facts(props.sheet.instance)}>
        {(fact) => (
          <>
            <dt>{fact.label}</dt>
            <dd>{fact.value}</dd>
          </>
        )}
      </For>
    </dl>
  );
}

function Report(props: { readonly sheet: Sheet }): JSX.Element {
  return (
    <ul class="report">
      <For each={reportLines(props.sheet.instance)} fallback={<li class="aside">{t().sheet.emptyReport}</li>}>
        {(line) => (
          <li classList={{ heading: line.heading }} style={{ "--depth": String(Math.min(line.depth, 8)) }}>
            <Show when={line.name}>
              <span class="concept">{line.name}</span>
            </Show>
            <Show when={line.value}>
              <span class="value">{line.value}</span>
            </Show>
          </li>
        )}
      </For>
    </ul>
  );
}

function Document(props: SheetCardProps): JSX.Element {
  const [error, setError] = createSignal<ApiError | null>(null);
  const [busy, setBusy] = createSignal(false);
  /** A PDF for which no tab could be opened. */
  const [waiting, setWaiting] = createSignal<string | null>(null);
  const kind = () => text(props.sheet.instance, TAG.mimeTypeOfEncapsulatedDocument) ?? PDF;
  const open = async () => {
    // Only a press opens a tab, and only for a few seconds after it: a slow document would come too late.
    const tab = kind() === PDF ? emptyTab() : null;
    setBusy(true);
    setError(null);
    setWaiting(null);
    try {
      const { instance } = props.sheet;
      const blob = await (isLocal(instance) ? localDocument(instance) : bulkData(documentAddress(props.sheet, props.study)));
      const address = URL.createObjectURL(new Blob([blob], { type: kind() }));
      if (kind() !== PDF) save(address);
      else if (tab && !tab.closed) tab.location.replace(address);
      else setWaiting(address);
    } catch (problem) {
      tab?.close();
      setError(problem instanceof ApiError ? problem : unexpected(problem));
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" class="button" disabled={busy()} onClick={() => void open()}>
        <Icon name="fileText" /> {busy() ? t().sheet.opening : kind() === PDF ? t().sheet.openPdf : t().sheet.save}
      </button>
      <Show when={waiting()}>
        {(address) => (
          <p role="status">
            {t().sheet.noTab}{" "}
            <a href={address()} target="_blank" rel="noopener">
              {t().sheet.openPdf}
            </a>
          </p>
        )}
      </Show>
      <Show when={error()} keyed>
        {(problem) => <ErrorNote error={problem} />}
      </Show>
    </>
  );
}

function unexpected(problem: unknown): ApiError {
  return new ApiError(() => t().errors.noDocument, String(problem));
}

function documentAddress(sheet: Sheet, study: string): string {
  const path = instancePath(study, sheet.seriesUid, sheet.id);
  return sheet.instance[TAG.encapsulatedDocument]?.BulkDataURI ?? `${path}/bulkdata/${TAG.encapsulatedDocument}`;
}

/** Only this is opened, in a tab of its own; anything else could run script as this page. */
const PDF = "application/pdf";

/** A tab that says what is awaited; null where the browser opens none. */
function emptyTab(): Window | null {
  const tab = open("", "_blank");
  if (!tab) return null;
  tab.opener = null;
  tab.document.title = t().sheet.opening;
  tab.document.body.textContent = t().sheet.opening;
  return tab;
}

function save(address: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = "document";
  link.click();
}

function Waveform(props: { readonly sheet: Sheet }): JSX.Element {
  return (
    <>
      <For each={waveformGroups(props.sheet.instance)}>
        {(group) => (
          <p>
            {t().sheet.waveform(
              group.channels.length,
              numberInWords(group.seconds, 1),
              numberInWords(group.samplesPerSecond, 0),
              group.channels.join(", "),
            )}
          </p>
        )}
      </For>
      <p class="aside">{t().sheet.notTraced}</p>
    </>
  );
}
