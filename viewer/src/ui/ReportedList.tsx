/** What reports measured, in the panel: by report, to be found on their images, and to be hidden. */
import { For, Show, createEffect, type JSX } from "solid-js";
import { toldInWords } from "../dicom/measurewords";
import { dateInWords, listed, nameInWords, timeInWords } from "../dicom/words";
import { t } from "../i18n/study";
import type { Measurement } from "../state/measurements";
import type { ReportRead, Reported, ReportedOnes } from "../state/reported";
import { commandWords } from "../tools/keys";
import { KIND_ICONS } from "./MeasureMenu";
import { Icon } from "./icons";

export interface ReportedListProps {
  readonly reported: ReportedOnes;
  readonly placeInWords: (one: Measurement) => string;
  readonly onShow: (one: Reported) => void;
}

export function ReportedList(props: ReportedListProps): JSX.Element {
  const toggleWords = () => (props.reported.hidden() ? t().measure.showReported : t().measure.hideReported);
  return (
    <>
      <Show when={props.reported.failure()}>
        <p class="aside" role="status">
          {t().measure.noReports}{" "}
          <button type="button" class="button" onClick={() => void props.reported.ask()}>
            {t().actions.tryAgain}
          </button>
        </p>
      </Show>
      <Show when={props.reported.read().length > 0}>
        <section class="reported-list" aria-label={t().measure.reported}>
          <header>
            <h3>{t().measure.reported}</h3>
            <button
              type="button"
              class="tool"
              aria-label={toggleWords()}
              aria-pressed={props.reported.hidden()}
              title={toggleWords()}
              onClick={() => props.reported.setHidden(!props.reported.hidden())}
            >
              <Icon name={props.reported.hidden() ? "eyeOff" : "eye"} />
            </button>
          </header>
          <For each={props.reported.read()}>{(one) => <OneReport {...props} one={one} />}</For>
        </section>
      </Show>
    </>
  );
}

function OneReport(props: ReportedListProps & { readonly one: ReportRead }): JSX.Element {
  const source = () => props.one.source;
  const when = () => `${dateInWords(source().date)} ${timeInWords(source().time)}`.trim();
  return (
    <>
      <h4>
        {source().title}
        <small>{listed([when(), source().observer && nameInWords(source().observer)])}</small>
      </h4>
      <ul>
        <For each={props.one.list}>
          {(one) => (
            <li
              classList={{ chosen: props.reported.selected() === one.shape.id }}
              ref={(row) =>
                createEffect(() => props.reported.selected() === one.shape.id && row.scrollIntoView({ block: "nearest" }))
              }
            >
              <button
                type="button"
                class="measure-show"
                aria-current={props.reported.selected() === one.shape.id}
                disabled={!one.isHere}
                title={one.isHere ? t().measure.show : t().measure.elsewhere}
                onClick={() => props.onShow(one)}
              >
                <Icon name={KIND_ICONS[one.shape.kind]} />
                <span class="measure-values">
                  <strong>{one.shape.label || commandWords(one.shape.kind)}</strong>
                  <For each={toldInWords(one.told)}>{(line) => <span>{line}</span>}</For>
                  <small>{one.isHere ? props.placeInWords(one.shape) : t().measure.elsewhere}</small>
                </span>
              </button>
            </li>
          )}
        </For>
      </ul>
      <Show when={props.one.missed > 0}>
        <p class="aside" title={props.one.reasons}>
          {t().measure.notUnderstood(props.one.missed)}
        </p>
      </Show>
    </>
  );
}
