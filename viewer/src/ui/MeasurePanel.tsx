/** All measurements of the study: values, the way to the image, a label, and away with it. */
import { For, Show, createEffect, type JSX } from "solid-js";
import { valuesInWords } from "../dicom/measurewords";
import { t } from "../i18n/study";
import type { Measurement } from "../state/measurements";
import type { Reported, ReportedOnes } from "../state/reported";
import type { SavingState } from "../state/saving";
import { commandWords, keyShown, type CommandId } from "../tools/keys";
import type { Measuring } from "../tools/measuring";
import { KIND_ICONS } from "./MeasureMenu";
import { ReportedList } from "./ReportedList";
import { Icon } from "./icons";

export interface MeasurePanelProps {
  readonly measuring: Measuring;
  /** Which image a measurement is on, in words. */
  readonly placeInWords: (one: Measurement) => string;
  readonly onShow: (one: Measurement) => void;
  readonly onClose: () => void;
  /** Null where nothing is saved: the study is only on this device. */
  readonly saving: SavingState | null;
  /** Why it is not saved yet. */
  readonly problem: Error | null;
  /** All is to become a report. */
  readonly onFinish: () => void;
  readonly run: (command: CommandId) => void;
  readonly reported: ReportedOnes;
  readonly onShowReported: (one: Reported) => void;
}

export function MeasurePanel(props: MeasurePanelProps): JSX.Element {
  const list = () => props.measuring.list();
  return (
    <aside class="measure-panel" aria-label={t().measure.title}>
      <header>
        <h2>{t().measure.title}</h2>
        <span class="aside">{list().length || ""}</span>
        <button
          type="button"
          class="tool"
          aria-label={`${commandWords("undo")} ${keyShown("undo")}`}
          title={`${commandWords("undo")} ${keyShown("undo")}`}
          disabled={!props.measuring.history.canUndo()}
          onClick={() => props.run("undo")}
        >
          <Icon name="undo" />
        </button>
        <button
          type="button"
          class="tool"
          aria-label={`${commandWords("redo")} ${keyShown("redo")}`}
          title={`${commandWords("redo")} ${keyShown("redo")}`}
          disabled={!props.measuring.history.canRedo()}
          onClick={() => props.run("redo")}
        >
          <Icon name="redo" />
        </button>
        <button type="button" class="tool" aria-label={t().measure.close} title={t().measure.close} onClick={() => props.onClose()}>
          <Icon name="close" />
        </button>
      </header>
      <div class="measure-lists">
        <Show when={list().length > 0} fallback={<p class="aside">{t().measure.empty}</p>}>
          <ul>
            <For each={list()}>
              {(one) => (
                <li
                  classList={{ chosen: props.measuring.selected() === one.id }}
                  ref={(row) =>
                    createEffect(() => props.measuring.selected() === one.id && row.scrollIntoView({ block: "nearest" }))
                  }
                >
                  <button
                    type="button"
                    class="measure-show"
                    aria-current={props.measuring.selected() === one.id}
                    title={t().measure.show}
                    onClick={() => props.onShow(one)}
                  >
                    <Icon name={KIND_ICONS[one.kind]} />
                    <span class="measure-values">
                      <strong>{commandWords(one.kind)}</strong>
                      <For each={valuesInWords(one)}>{(line) => <span>{line}</span>}</For>
                      <small>{props.placeInWords(one)}</small>
                    </span>
                  </button>
                  <button
                    type="button"
                    class="tool"
                    aria-label={commandWords("remove")}
                    title={commandWords("remove")}
                    onClick={() => props.measuring.remove(one.id)}
                  >
                    <Icon name="trash" />
                  </button>
                  <input
                    class="measure-label"
                    value={one.label}
                    aria-label={t().measure.label}
                    placeholder={t().measure.label}
                    maxLength={64}
                    onChange={(event) => props.measuring.label(one.id, event.currentTarget.value.trim())}
                    onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
                  />
                </li>
              )}
            </For>
          </ul>
        </Show>
        <ReportedList reported={props.reported} placeInWords={props.placeInWords} onShow={props.onShowReported} />
      </div>
      <footer>
        <p class="aside" role="status">
          <Show when={props.saving} keyed fallback={t().local.notSaved}>
            {(saving) => list().length > 0 || saving !== "saved" ? t().measure.saving[saving] : ""}
          </Show>
          <Show when={props.problem}>{(problem) => <small>{problem().message}</small>}</Show>
        </p>
        <Show when={props.saving && list().length > 0}>
          <button type="button" class="button" disabled={props.saving === "opening"} onClick={() => props.onFinish()}>
            <Icon name="fileText" /> {t().measure.finish}
          </button>
        </Show>
      </footer>
    </aside>
  );
}
