/** The value of one attribute in full, a part of it at a time, and copied whole. */
import { Show, createEffect, createMemo, createResource, createSignal, on, type JSX } from "solid-js";
import { bulkBeginning, bulkSize } from "../api/dicomweb";
import { fullText, inlineBytes, isText, tagShown, type Row } from "../dicom/attributes";
import { encodingOf } from "../dicom/filehead";
import { TAG, text, type DicomObject } from "../dicom/model";
import { t } from "../i18n/study";
import { copyText } from "./clipboard";
import { Icon } from "./icons";

/** Characters that are drawn: at first, and how many times more with each step; beyond the last, a browser halts. */
const FIRST_CHARACTERS = 2_000;
const STEP = 10;
const MOST_CHARACTERS = 200_000;
const SAID_MS = 1600;

export function AttributeValue(props: { readonly row: Row; readonly title: string; readonly object: DicomObject }): JSX.Element {
  const [shown, setShown] = createSignal(FIRST_CHARACTERS);
  const [copied, setCopied] = createSignal(false);
  const [isRefused, setRefused] = createSignal(false);
  createEffect(
    on(
      () => props.row.path,
      () => {
        setShown(FIRST_CHARACTERS);
        setRefused(false);
      },
      { defer: true },
    ),
  );
  const element = () => props.row.element;
  const whole = createMemo(() => fullText(element()));
  const apart = () => (isText(element()) ? element()?.BulkDataURI : undefined);
  const decoded = (bytes: Uint8Array<ArrayBuffer>) =>
    new TextDecoder(encodingOf(text(props.object, TAG.specificCharacterSet))).decode(bytes);
  const [fetched] = createResource(
    () => {
      const uri = apart();
      return uri === undefined ? undefined : { uri, length: shown() };
    },
    async ({ uri, length }) => {
      const { bytes, total } = await bulkBeginning(uri, length);
      return { text: decoded(bytes), total };
    },
  );
  const [size] = createResource(
    () => (isText(element()) ? undefined : element()?.BulkDataURI),
    (uri) => bulkSize(uri).catch(() => undefined),
  );
  const total = () => (apart() ? (fetched.latest?.total ?? 0) : whole().length);
  const beginning = () => (apart() ? (fetched.error ? "" : (fetched.latest?.text ?? "")) : whole().slice(0, shown()));
  const isMore = () => total() > shown();
  const bytes = () => inlineBytes(element()) ?? size.latest;

  const copy = async () => {
    const uri = apart();
    const all = uri ? decoded((await bulkBeginning(uri, total() || MOST_CHARACTERS)).bytes) : whole();
    const isCopied = await copyText(all);
    setRefused(!isCopied);
    if (!isCopied) return;
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  };

  return (
    <section class="attribute-value" aria-label={props.title}>
      <header>
        <div>
          <strong>{props.title}</strong>
          <small>
            {tagShown(props.row.tag)} · {element()?.vr}
            <Show when={(element()?.Value?.length ?? 0) > 1 && element()?.vr !== "SQ"}> · ×{element()!.Value!.length}</Show>
          </small>
        </div>
        <Show when={total() > 0}>
          <button
            type="button"
            class="tool copy"
            aria-label={copied() ? t().actions.copied : t().info.copy}
            title={t().info.copy}
            onClick={() => void copy()}
          >
            <Icon name={copied() ? "check" : "copy"} />
          </button>
        </Show>
      </header>
      <Show
        when={total() > 0}
        fallback={
          <p class="aside">
            {element()?.vr === "SQ"
              ? t().info.items(props.row.below)
              : bytes() !== undefined
                ? t().info.bytes(bytes()!)
                : element()?.BulkDataURI
                  ? t().info.apart
                  : t().info.noValue}
          </p>
        }
      >
        <pre tabIndex={0}>{beginning()}</pre>
      </Show>
      <Show when={isRefused()}>
        <p class="aside" role="status">
          {t().info.noCopy}
        </p>
      </Show>
      <Show when={isMore()}>
        <footer>
          <span class="aside">{t().info.beginning(Math.min(shown(), total()), total())}</span>
          <Show when={shown() < MOST_CHARACTERS}>
            <button
              type="button"
              class="button plain"
              onClick={() => setShown(Math.min(MOST_CHARACTERS, shown() * STEP))}
            >
              {t().info.showMore}
            </button>
          </Show>
        </footer>
      </Show>
    </section>
  );
}
