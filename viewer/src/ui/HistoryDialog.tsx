/** What was edited of a study: who, when, why, each attribute before and after; and undone from here. */
import { For, Match, Show, Switch, createResource, createSignal, onMount, type JSX } from "solid-js";
import "./styles/dialog.css";
import "./styles/history.css";
import { readHistory, undoEdit, type Edit, type EditedAttribute, type History } from "../api/edits";
import { ApiError } from "../api/http";
import { listed, momentInWords } from "../dicom/words";
import { t } from "../i18n/study";
import { ErrorNote } from "./controls";
import { Icon } from "./icons";

export interface HistoryDialogProps {
  readonly study: string;
  /** `changed`: something was undone, and the study is another than the page shows. */
  readonly onClose: (changed: boolean) => void;
}

export default function HistoryDialog(props: HistoryDialogProps): JSX.Element {
  let dialog!: HTMLDialogElement;
  let body!: HTMLDivElement;
  const [history, { refetch, mutate }] = createResource<History | ApiError>(async (_, { value }) => {
    // Again, as many as were shown
    const shown = value === undefined || value instanceof ApiError ? undefined : value.edits.length;
    try {
      return await readHistory(props.study, 0, shown);
    } catch (error) {
      return error as ApiError;
    }
  });
  const [coming, setComing] = createSignal(false);
  const [gone, setGone] = createSignal<ApiError | null>(null);
  const [undoing, setUndoing] = createSignal<number | null>(null);
  const [said, setSaid] = createSignal("");
  const [changed, setChanged] = createSignal(false);
  const problem = () => (history.latest instanceof ApiError ? history.latest : null);
  const found = () => (history.latest instanceof ApiError ? undefined : history.latest);
  onMount(() => {
    dialog.showModal();
    dialog.focus();
  });
  const undone = async (edit: Edit) => {
    setUndoing(null);
    setChanged(true);
    await refetch();
    setSaid(listed([String(edit.edit), t().history.kinds.revert]));
  };
  const earlier = async () => {
    const shown = found();
    if (coming() || !shown) return;
    setComing(true);
    setGone(null);
    try {
      const { edits, more } = await readHistory(props.study, shown.edits.at(-1)!.edit);
      mutate({ edits: [...shown.edits, ...edits], more });
      setSaid(t().history.shown(shown.edits.length + edits.length));
      // Who reads on by keys or by ear does so where the earlier ones begin.
      body.querySelectorAll<HTMLElement>(".edit")[shown.edits.length]?.focus();
    } catch (error) {
      setGone(error as ApiError);
    }
    setComing(false);
  };
  return (
    <dialog
      ref={dialog}
      class="history dialog"
      tabIndex={-1}
      aria-label={t().commands.history}
      onClose={() => props.onClose(changed())}
      onClick={(event) => event.target === dialog && dialog.close()}
      // Keys here are not for the images.
      on:keydown={(event) => event.stopPropagation()}
    >
      <header class="history-head dialog-head">
        <h2>{t().commands.history}</h2>
        <p role="status">{said()}</p>
        <button type="button" class="tool" aria-label={t().exporting.close} title={t().exporting.close} onClick={() => dialog.close()}>
          <Icon name="close" />
        </button>
      </header>
      <div class="history-body" ref={body}>
        <Switch fallback={<p class="aside">{t().list.coming}</p>}>
          <Match when={problem()} keyed>
            {(error) => <ErrorNote error={error} onRetry={() => void refetch()} />}
          </Match>
          <Match when={found()?.edits.length === 0}>
            <p class="aside">{t().history.none}</p>
          </Match>
          <Match when={found()}>
            <For each={found()!.edits}>
              {(edit) => (
                <OneEdit
                  edit={edit}
                  asking={undoing() === edit.edit}
                  onAsk={(asks) => setUndoing(asks ? edit.edit : null)}
                  onUndone={() => void undone(edit)}
                />
              )}
            </For>
            <Show when={gone()} keyed>
              {(error) => <ErrorNote error={error} />}
            </Show>
            <Show when={found()!.more}>
              <button type="button" class="button history-more" aria-busy={coming()} onClick={() => void earlier()}>
                {t().history.earlier}
              </button>
            </Show>
          </Match>
        </Switch>
      </div>
    </dialog>
  );
}

interface OneEditProps {
  readonly edit: Edit;
  /** Why it is to be undone is asked for. */
  readonly asking: boolean;
  readonly onAsk: (asks: boolean) => void;
  readonly onUndone: () => void;
}

function OneEdit(props: OneEditProps): JSX.Element {
  const kinds = (): Readonly<Record<string, string>> => t().history.kinds;
  const state = () => {
    const { reverts, revertedBy } = props.edit;
    // Of which edit it undoes, and by which it was undone: a number alone tells, with an arrow towards what is undone.
    if (revertedBy !== null) return `${t().history.kinds.revert} ← ${revertedBy}`;
    return reverts === null ? "" : `→ ${reverts}`;
  };
  return (
    <article class="edit" tabIndex={-1} classList={{ past: props.edit.revertedBy !== null }}>
      <header>
        <h3>
          <span class="edit-number">{props.edit.edit}</span>{" "}
          {kinds()[props.edit.kind] ?? props.edit.kind}
        </h3>
        <p class="aside">
          {listed([momentInWords(props.edit.at), props.edit.who, t().counts.objects(props.edit.objects), state()])}
        </p>
        <Show when={props.edit.revertedBy === null && !props.asking}>
          <button type="button" class="button" onClick={() => props.onAsk(true)}>
            <Icon name="undo" /> {t().history.undo}
          </button>
        </Show>
      </header>
      <p class="edit-why">{props.edit.why}</p>
      <Show when={props.edit.changes.length > 0}>
        <Changes changes={props.edit.changes} />
      </Show>
      <Show when={props.asking}>
        <AskWhy {...props} />
      </Show>
    </article>
  );
}

function Changes(props: { readonly changes: readonly EditedAttribute[] }): JSX.Element {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{t().history.attribute}</th>
          <th scope="col">{t().history.before}</th>
          <th scope="col">{t().history.after}</th>
        </tr>
      </thead>
      <tbody>
        <For each={props.changes}>
          {(change) => (
            <tr>
              <th scope="row">
                {change.name || change.keyword}{" "}
                <small>{`${change.tag.slice(0, 4)},${change.tag.slice(4)}`}</small>
              </th>
              <td data-said={t().history.before}>{change.before || t().history.empty}</td>
              <td data-said={t().history.after}>{change.after || t().history.empty}</td>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}

/** The reason is asked for, and is what makes sure. */
function AskWhy(props: OneEditProps): JSX.Element {
  let field!: HTMLInputElement;
  const [why, setWhy] = createSignal("");
  const [busy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<Pick<ApiError, "message" | "advice" | "detail"> | null>(null);
  onMount(() => field.focus());
  const undo = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy() || !why().trim()) return;
    setBusy(true);
    setProblem(null);
    try {
      const against = await undoEdit(props.edit.edit, why().trim());
      if (against === null) return props.onUndone();
      setProblem({ ...t().history.refused, detail: against });
    } catch (error) {
      setProblem(error as ApiError);
    }
    setBusy(false);
  };
  return (
    <form class="edit-undo" onSubmit={(event) => void undo(event)}>
      <label>
        <span>{t().history.why}</span>
        <input ref={field} type="text" maxLength={1000} required value={why()} onInput={(event) => setWhy(event.currentTarget.value)} />
      </label>
      <div class="edit-buttons">
        <button type="submit" class="button strong" disabled={busy() || !why().trim()}>
          <Icon name="undo" /> {t().history.undo}
        </button>
        <button type="button" class="button" onClick={() => props.onAsk(false)}>
          {t().exporting.cancel}
        </button>
      </div>
      <Show when={problem()} keyed>
        {(error) => <ErrorNote error={error} />}
      </Show>
    </form>
  );
}
