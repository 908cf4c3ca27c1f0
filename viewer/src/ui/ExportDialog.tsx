/** Takes what is seen out of the viewer: as a picture, a clip, or pages to print. All of it is made here, in the browser. */
import { Match, Show, Suspense, Switch, createSignal, lazy, onMount, type JSX } from "solid-js";
import "./styles/dialog.css";
import "./styles/export.css";
import { t } from "../i18n/study";
import type { Shown } from "../state/exporting";
import { OneOf } from "./controls";
import { ExportPicture } from "./ExportPicture";
import { ExportPrint } from "./ExportPrint";
import { waysOf, type Scene } from "./exportscene";
import { Icon } from "./icons";

/** With what writes MP4. */
const ExportClip = lazy(() => import("./ExportClip").then(({ ExportClip: made }) => ({ default: made })));

export const MODES = ["picture", "clip", "print"] as const;

export type ExportMode = (typeof MODES)[number];

export interface ExportDialogProps {
  readonly scene: Scene;
  readonly mode: ExportMode;
  readonly onClose: () => void;
}

export default function ExportDialog(props: ExportDialogProps): JSX.Element {
  let dialog!: HTMLDialogElement;
  const [mode, setMode] = createSignal(props.mode);
  const [shown, setShown] = createSignal<Shown>({ text: true, drawings: true, patient: true });
  const [said, setSaid] = createSignal("");
  const active = () => props.scene.active;
  const modes = () => MODES.filter((one) => one !== "clip" || (active() !== undefined && waysOf(active()!).length > 0));
  onMount(() => {
    dialog.showModal();
    // Else the first of the buttons would look chosen.
    dialog.focus();
  });
  const parts = {
    get scene() {
      return props.scene;
    },
    get shown() {
      return shown();
    },
    onShown: setShown,
    onSaid: setSaid,
  };
  return (
    <dialog
      ref={dialog}
      class="export dialog"
      tabIndex={-1}
      aria-label={t().exporting.title}
      onClose={() => props.onClose()}
      // Keys here are not for the images.
      on:keydown={(event) => event.stopPropagation()}
    >
      <header class="export-head dialog-head">
        <h2>{t().exporting.title}</h2>
        <OneOf
          label={t().exporting.title}
          choices={modes().map((value) => ({ value, words: t().exporting.modes[value] }))}
          value={mode()}
          onChoose={(next) => {
            setSaid("");
            setMode(next);
          }}
        />
        <p class="export-said" role="status">
          {said()}
        </p>
        <button type="button" class="tool" aria-label={t().exporting.close} title={t().exporting.close} onClick={() => dialog.close()}>
          <Icon name="close" />
        </button>
      </header>
      <Show when={active()} fallback={<p class="export-nothing">{t().exporting.nothing}</p>}>
        {(cell) => (
          <div class="export-body">
            <Switch>
              <Match when={mode() === "picture"}>
                <ExportPicture {...parts} />
              </Match>
              <Match when={mode() === "clip"}>
                <Suspense>
                  <ExportClip {...parts} active={cell()} />
                </Suspense>
              </Match>
              <Match when={mode() === "print"}>
                <ExportPrint {...parts} active={cell()} />
              </Match>
            </Switch>
          </div>
        )}
      </Show>
    </dialog>
  );
}
