/** What becomes of the files that are sent to the archive. */
import { For, Show, type JSX } from "solid-js";
import { numberInWords, t } from "../i18n/language";
import type { Uploads } from "../state/uploads";
import { CopyButton, Progress } from "./controls";
import { Icon } from "./icons";

export default function UploadPanel(props: { readonly uploads: Uploads }): JSX.Element {
  const { uploads } = props;
  const { state } = uploads;
  const busy = () => state.done < state.total;
  const share = () =>
    state.total === 0
      ? 0
      : (state.done + state.sending.reduce((sum, one) => sum + one.share, 0)) / state.total;
  return (
    <section class="uploads" aria-label={t().upload.title} aria-live="polite">
      <header>
        <p>
          <Show when={busy()} fallback={finished(state.total, state.failed.length)}>
            {t().upload.sending(Math.min(state.done + 1, state.total), state.total)}
          </Show>
        </p>
        <button
          type="button"
          class="tool small"
          aria-label={busy() ? t().upload.stop : t().upload.close}
          title={busy() ? t().upload.stop : t().upload.close}
          onClick={() => (busy() ? uploads.cancel() : uploads.dismiss())}
        >
          <Icon name="close" />
        </button>
      </header>
      <Progress share={share()} label={t().upload.allFiles} />
      <ul>
        <For each={state.sending}>
          {(one) => (
            <li class="sending">
              <span>{one.name}</span>
              <small>{numberInWords(Math.round(one.share * 100))} %</small>
            </li>
          )}
        </For>
        <For each={state.failed}>
          {(one) => (
            <li class="failed">
              <span>{one.name}</span>
              <p>
                {one.error.message} {one.error.advice}
              </p>
              <CopyButton text={one.error.detail} />
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

function finished(total: number, failed: number): string {
  return failed === 0 ? t().upload.stored(total) : t().upload.storedBut(total - failed, failed);
}
