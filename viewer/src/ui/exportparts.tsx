/** Parts that all ways to export share. */
import { For, Show, createUniqueId, type JSX } from "solid-js";
import { t } from "../i18n/study";
import { NoTwin } from "../render/twin";
import type { Shown } from "../state/exporting";
import { ErrorNote, OneOf, type Choice } from "./controls";
import { whyNoVolume } from "./novolume";

export interface FieldProps {
  readonly label: string;
  readonly children: JSX.Element;
}

/** A name above what is chosen. */
export function Field(props: FieldProps): JSX.Element {
  return (
    <div class="export-field">
      <span class="export-label">{props.label}</span>
      {props.children}
    </div>
  );
}

export interface ChoiceFieldProps<Value> {
  readonly label: string;
  readonly choices: readonly Choice<Value>[];
  readonly value: Value;
  readonly onChoose: (value: Value) => void;
}

export function ChoiceField<Value>(props: ChoiceFieldProps<Value>): JSX.Element {
  return (
    <Field label={props.label}>
      <OneOf label={props.label} choices={props.choices} value={props.value} onChoose={props.onChoose} />
    </Field>
  );
}

export interface NumberFieldProps {
  readonly label: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  readonly onChange: (value: number) => void;
}

/** Whole numbers; what is typed beyond the ends becomes the end. */
export function NumberField(props: NumberFieldProps): JSX.Element {
  const id = createUniqueId();
  return (
    <div class="export-number">
      <label for={id}>{props.label}</label>
      <input
        id={id}
        type="number"
        min={props.least}
        max={props.most}
        step={1}
        value={props.value}
        onChange={(event) => {
          const typed = Math.round(event.currentTarget.valueAsNumber);
          const value = Number.isFinite(typed) ? Math.min(props.most, Math.max(props.least, typed)) : props.value;
          event.currentTarget.value = String(value);
          props.onChange(value);
        }}
      />
    </div>
  );
}

export interface CheckProps {
  readonly label: string;
  readonly checked: boolean;
  readonly disabled?: boolean;
  readonly onChange: (checked: boolean) => void;
}

export function Check(props: CheckProps): JSX.Element {
  return (
    <label class="export-check">
      <input
        type="checkbox"
        checked={props.checked}
        disabled={props.disabled ?? false}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}

/** What is drawn over the pixels. */
export function ContentField(props: { readonly shown: Shown; readonly onChange: (shown: Shown) => void }): JSX.Element {
  const parts = ["text", "drawings", "patient"] as const;
  return (
    <Field label={t().exporting.content}>
      <For each={parts}>
        {(part) => (
          <Check
            label={t().exporting[part]}
            checked={props.shown[part]}
            onChange={(checked) => props.onChange({ ...props.shown, [part]: checked })}
          />
        )}
      </For>
      <Show when={!props.shown.patient}>
        <p class="export-note">{t().exporting.withoutPatient}</p>
      </Show>
    </Field>
  );
}

/** Why there is no picture, in words a physician understands. */
export function ExportFailure(props: { readonly error: Error; readonly onRetry?: () => void }): JSX.Element {
  const words = () => {
    const { error } = props;
    const refusal = error instanceof NoTwin ? error.cell.refusal() : null;
    const message = refusal ? t().volume.refused : t().exporting.failed;
    return {
      message,
      advice: refusal ? whyNoVolume(refusal) : t().exporting.failedAdvice,
      detail: `${error.message}\n${error.stack ?? ""}`,
    };
  };
  return <ErrorNote error={words()} onRetry={props.onRetry} />;
}
