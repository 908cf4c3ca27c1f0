/** Small controls. Every one can be reached by key, and says its key where it has one. */
import { Tooltip } from "@kobalte/core/tooltip";
import { For, Show, createSignal, type JSX } from "solid-js";
import type { ApiError } from "../api/http";
import { t } from "../i18n/language";
import { copyText } from "./clipboard";
import { Icon, type IconName } from "./icons";

export interface ToolButtonProps {
  readonly icon: IconName;
  readonly words: string;
  /** The key as it is shown. */
  readonly shortcut?: string | undefined;
  /** The key by its name in ARIA, where it is shown in another way. */
  readonly ariaKey?: string | undefined;
  readonly pressed?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  readonly onUse: () => void;
}

export function ToolButton(props: ToolButtonProps): JSX.Element {
  return (
    <Tooltip openDelay={350} closeDelay={0} gutter={6}>
      <Tooltip.Trigger
        as="button"
        type="button"
        class="tool"
        aria-label={props.words}
        aria-pressed={props.pressed}
        aria-keyshortcuts={props.ariaKey ?? props.shortcut}
        disabled={props.disabled}
        onClick={() => props.onUse()}
      >
        <Icon name={props.icon} />
        <span class="tool-words">{props.words}</span>
      </Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content class="tooltip">
          {props.words}
          <Show when={props.shortcut}>
            <kbd>{props.shortcut}</kbd>
          </Show>
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip>
  );
}

export interface Choice<Value> {
  readonly value: Value;
  readonly words: string;
  readonly title?: string;
}

export interface OneOfProps<Value> {
  readonly label: string;
  readonly choices: readonly Choice<Value>[];
  readonly value: Value;
  readonly onChoose: (value: Value) => void;
}

/** One of a few, side by side; the arrow keys move between them as in any set of radio buttons. */
export function OneOf<Value>(props: OneOfProps<Value>): JSX.Element {
  let group!: HTMLDivElement;
  const step = (event: KeyboardEvent) => {
    const direction = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    const at = props.choices.findIndex((choice) => choice.value === props.value);
    const next = (at + direction + props.choices.length) % props.choices.length;
    props.onChoose(props.choices[next]!.value);
    (group.children[next] as HTMLElement).focus();
  };
  return (
    <div ref={group} class="segments" role="radiogroup" aria-label={props.label} onKeyDown={step}>
      <For each={props.choices}>
        {(choice) => (
          <button
            type="button"
            class="segment"
            role="radio"
            title={choice.title}
            aria-checked={choice.value === props.value}
            tabIndex={choice.value === props.value ? 0 : -1}
            onClick={() => props.onChoose(choice.value)}
          >
            {choice.words}
          </button>
        )}
      </For>
    </div>
  );
}

export interface SomeOfProps {
  readonly label: string;
  readonly choices: readonly Choice<string>[];
  readonly values: readonly string[];
  readonly onChoose: (values: readonly string[]) => void;
}

/** Any of a few, side by side; none chosen means all. */
export function SomeOf(props: SomeOfProps): JSX.Element {
  const toggled = (value: string) =>
    props.values.includes(value)
      ? props.values.filter((other) => other !== value)
      : [...props.values, value];
  return (
    <div class="segments" role="group" aria-label={props.label}>
      <For each={props.choices}>
        {(choice) => (
          <button
            type="button"
            class="segment"
            title={choice.title}
            aria-pressed={props.values.includes(choice.value)}
            onClick={() => props.onChoose(toggled(choice.value))}
          >
            {choice.words}
          </button>
        )}
      </For>
    </div>
  );
}

export function Progress(props: { readonly share: number; readonly label: string }): JSX.Element {
  return (
    <div
      class="progress"
      role="progressbar"
      aria-label={props.label}
      aria-valuenow={Math.round(props.share * 100)}
    >
      <div style={{ transform: `scaleX(${props.share})` }} />
    </div>
  );
}

export interface ErrorNoteProps {
  readonly error: Pick<ApiError, "message" | "advice" | "detail">;
  readonly onRetry?: (() => void) | undefined;
}

/** What went wrong, where it went wrong, what to do, and a detail to copy. */
export function ErrorNote(props: ErrorNoteProps): JSX.Element {
  return (
    <div class="note" role="alert">
      <Icon name="triangle" />
      <div class="note-words">
        <strong>{props.error.message}</strong>
        <p>{props.error.advice}</p>
        <div class="note-actions">
          <Show when={props.onRetry}>
            <button type="button" class="button" onClick={() => props.onRetry?.()}>
              <Icon name="refresh" /> {t().actions.tryAgain}
            </button>
          </Show>
          <CopyButton text={props.error.detail} />
        </div>
      </div>
    </div>
  );
}

const SAID_MS = 1600;

export function CopyButton(props: { readonly text: string }): JSX.Element {
  const [copied, setCopied] = createSignal(false);
  const [isRefused, setRefused] = createSignal(false);
  const copy = async () => {
    if (!(await copyText(props.text))) return void setRefused(true);
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  };
  return (
    <>
      <button type="button" class="button plain" title={props.text} onClick={() => void copy()}>
        <Icon name={copied() ? "check" : "copy"} /> {copied() ? t().actions.copied : t().actions.copyDetail}
      </button>
      <Show when={isRefused()}>
        <p role="status">{t().actions.noCopy(props.text)}</p>
      </Show>
    </>
  );
}
