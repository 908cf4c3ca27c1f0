/** All keys on one page, what fingers do, and what the buttons of the mouse do, which a person may choose. */
import { For, Show, createEffect, on, type JSX } from "solid-js";
import { presetWords, type Preset } from "../dicom/presets";
import { t } from "../i18n/study";
import { COMMANDS, GROUPS, GROUP_OF, commandWords, keyShown } from "../tools/keys";
import { BUTTON_TOOLS, WHEEL_TOOLS, chooseMouse, mouseMap } from "../tools/mousemap";
import { OneOf } from "./controls";
import { Icon } from "./icons";
import { mayHaveMouse, isTouched } from "./room";

export interface KeysDialogProps {
  readonly open: boolean;
  readonly presets: readonly Preset[];
  readonly onClose: () => void;
}

export function KeysDialog(props: KeysDialogProps): JSX.Element {
  let dialog!: HTMLDialogElement;
  createEffect(
    on(
      () => props.open,
      (open) => {
        if (open && !dialog.open) {
          dialog.showModal();
          // It is read from its first line, and not from where the first button stands.
          dialog.focus();
          dialog.scrollTop = 0;
        }
        if (!open && dialog.open) dialog.close();
      },
    ),
  );
  return (
    <dialog
      ref={dialog}
      class="keys"
      tabIndex={0}
      aria-label={t().keys.title}
      onClose={() => props.onClose()}
      onClick={(event) => event.target === dialog && dialog.close()}
      onKeyDown={(event) => event.key === "?" && dialog.close()}
    >
      <header class="keys-head">
        <h2>{t().keys.title}</h2>
        <button type="button" class="tool" aria-label={t().keys.close} title={t().keys.close} onClick={() => dialog.close()}>
          <Icon name="close" />
        </button>
      </header>
      <div class="key-groups">
        <Show when={isTouched()}>
          <Touch />
        </Show>
        <For each={GROUPS}>
          {(group) => (
            <section>
              <h3>{t().keys.groups[group]}</h3>
              <ul>
                <For each={Object.values(COMMANDS).filter(({ id }) => GROUP_OF[id] === group)}>
                  {({ id }) => <KeyRow words={commandWords(id)} key={keyShown(id)} />}
                </For>
              </ul>
            </section>
          )}
        </For>
        <Show when={props.presets.length > 0}>
          <section>
            <h3>{t().keys.groups.windows}</h3>
            <ul>
              <For each={props.presets}>{(preset) => <KeyRow words={presetWords(preset)} key={preset.key} />}</For>
            </ul>
          </section>
        </Show>
        <Show when={!isTouched()}>
          <Touch />
        </Show>
      </div>
      <Show when={mayHaveMouse()}>
        <Mouse />
      </Show>
      <p>{t().keys.undoing}</p>
      <p>{t().keys.drawing}</p>
    </dialog>
  );
}

function KeyRow(props: { readonly words: string; readonly key: string }): JSX.Element {
  return (
    <li>
      <span>{props.words}</span>
      <kbd>{props.key}</kbd>
    </li>
  );
}

function Touch(): JSX.Element {
  return (
    <section>
      <h3>{t().keys.groups.touch}</h3>
      <ul>
        <For each={Object.values(t().keys.touch)}>
          {({ fingers, does }) => (
            <li>
              <span>{fingers}</span>
              <span class="aside">{does}</span>
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

/** What each button does; the left one has the tool in hand. */
function Mouse(): JSX.Element {
  const buttons = () => BUTTON_TOOLS.map((value) => ({ value, words: commandWords(value) }));
  const wheels = () => WHEEL_TOOLS.map((value) => ({ value, words: commandWords(value) }));
  return (
    <section class="mouse-map">
      <h3>{t().keys.groups.mouse}</h3>
      <ul>
        <li>
          <span>{t().keys.mouse.left}</span>
          <span class="aside">{t().keys.mouse.inHand}</span>
        </li>
        <li>
          <span>{t().keys.mouse.middle}</span>
          <OneOf
            label={t().keys.mouse.middle}
            choices={buttons()}
            value={mouseMap().middle}
            onChoose={(middle) => chooseMouse({ middle })}
          />
        </li>
        <li>
          <span>{t().keys.mouse.right}</span>
          <OneOf
            label={t().keys.mouse.right}
            choices={buttons()}
            value={mouseMap().right}
            onChoose={(right) => chooseMouse({ right })}
          />
        </li>
        <li>
          <span>{t().keys.mouse.wheel}</span>
          <OneOf
            label={t().keys.mouse.wheel}
            choices={wheels()}
            value={mouseMap().wheel}
            onChoose={(wheel) => chooseMouse({ wheel })}
          />
        </li>
        <li>
          <span>{t().keys.mouse.doubleClick}</span>
          <span class="aside">{t().keys.mouse.fills}</span>
        </li>
      </ul>
    </section>
  );
}
