/** What was read from files on this device: the studies, how far reading is, and what could not be read. */
import { For, Show, createMemo, createResource, createSignal, type JSX } from "solid-js";
import { displaySets, type Stack } from "../dicom/displaysets";
import { TAG, personName, text } from "../dicom/model";
import { ageInWords, dateInWords, listed, modalityInWords, nameInWords, sexInWords, timeInWords } from "../dicom/words";
import { t } from "../i18n/language";
import { problemDetail, type LocalFiles, type LocalStudy } from "../state/local";
import { CopyButton, ErrorNote, Progress } from "./controls";
import { Kinds } from "./Kinds";
import { Icon } from "./icons";
import { localThumbnail } from "./localthumbnail";
import { Thumbnail } from "./Thumbnail";

export interface LocalStudiesProps {
  readonly local: LocalFiles;
  readonly address: (study: string) => string;
  readonly onOpen: (study: string) => void;
}

export function LocalStudies(props: LocalStudiesProps): JSX.Element {
  const state = () => props.local.state();
  const isEmpty = () => state().studies.length === 0 && !state().busy;
  return (
    <div class="local-list">
      <Show when={state().busy}>
        <div class="local-reading" role="status">
          <p>{state().looking ? t().local.looking : t().local.reading(state().done, state().total)}</p>
          <Progress share={state().total === 0 ? 0 : state().done / state().total} label={t().local.title} />
          <button type="button" class="button" onClick={() => props.local.cancel()}>
            {t().local.stop}
          </button>
        </div>
      </Show>
      <Show when={state().crash} keyed>
        {(crash) => <ErrorNote error={{ ...t().local.failed, detail: String(crash) }} />}
      </Show>
      <Show when={isEmpty() && !state().crash}>
        <div class="local-empty">
          <Icon name="laptop" />
          <h2>{t().local.none}</h2>
          <p>{t().local.noneWords}</p>
        </div>
      </Show>
      <ul class="local-studies">
        <For each={state().studies.map(({ uid }) => uid)}>{(uid) => <Row {...props} uid={uid} />}</For>
      </ul>
      <Remarks local={props.local} />
    </div>
  );
}

/** Where files were opened before the page was loaded anew, or none yet. */
export function NothingHere(): JSX.Element {
  return (
    <div class="local-empty">
      <Icon name="laptop" />
      <h2>{t().local.gone.message}</h2>
      <p>{t().local.gone.advice}</p>
    </div>
  );
}

interface RowProps extends LocalStudiesProps {
  readonly uid: string;
}

function Row(props: RowProps): JSX.Element {
  const study = createMemo(() => props.local.state().studies.find(({ uid }) => uid === props.uid)) as () => LocalStudy;
  const [sample] = createResource(
    () => !props.local.state().busy && props.uid,
    async (uid): Promise<Stack | undefined> => {
      const object = await props.local.sample(uid);
      const set = object && displaySets([object])[0];
      return set?.kind === "stack" ? set : undefined;
    },
  );
  const picture = localThumbnail(sample, props.uid);
  const object = () => study().object;
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    props.onOpen(props.uid);
  };
  const patient = () =>
    listed([
      text(object(), TAG.patientId),
      sexInWords(text(object(), TAG.patientSex)),
      ageInWords(text(object(), TAG.patientBirthDate), text(object(), TAG.studyDate)),
    ]);
  return (
    <li>
      <a class="local-study" href={props.address(props.uid)} onClick={open} draggable={false}>
        <Thumbnail address={picture()} />
        <span class="who">
          <strong>{nameInWords(personName(object(), TAG.patientName))}</strong>
          <small>{patient()}</small>
        </span>
        <span class="what">
          <span>
            {text(object(), TAG.studyDescription) ??
              (listed(study().modalities.map(modalityInWords), ", ") || t().list.noDescription)}
          </span>
          <small>{text(object(), TAG.accessionNumber)}</small>
        </span>
        <Kinds codes={study().modalities} />
        <span class="when">
          <span>{dateInWords(text(object(), TAG.studyDate)) || t().list.noDate}</span>
          <small>{timeInWords(text(object(), TAG.studyTime))}</small>
        </span>
        <span class="size">
          <span>{t().counts.objects(study().objects)}</span>
          <small>{t().counts.series(study().series)}</small>
        </span>
      </a>
    </li>
  );
}

/** What was passed over, and why. */
function Remarks(props: { readonly local: LocalFiles }): JSX.Element {
  const state = () => props.local.state();
  const [open, setOpen] = createSignal(true);
  const lines = () => {
    const { passedOver, repeated, absent } = state();
    return [
      passedOver > 0 && t().local.passedOver(passedOver),
      repeated > 0 && t().local.repeated(repeated),
      absent > 0 && t().local.absent(absent),
    ].filter((line): line is string => line !== false);
  };
  const unnamed = () => state().problemCount - state().problems.length;
  return (
    <>
      <Show when={lines().length > 0}>
        <p class="local-remarks">{listed(lines())}</p>
      </Show>
      <Show when={state().problemCount > 0}>
        <details class="local-problems" open={open()} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>{t().local.unread(state().problemCount)}</summary>
          <ul>
            <For each={state().problems}>
              {(problem) => (
                <li>
                  <strong>{problem.path}</strong>
                  <span>{t().local.problems[problem.why]}</span>
                  <CopyButton text={`${problem.path}: ${problemDetail(problem)}`} />
                </li>
              )}
            </For>
          </ul>
          <Show when={unnamed() > 0}>
            <p>{t().local.others(unnamed())}</p>
          </Show>
        </details>
      </Show>
    </>
  );
}

/** Says beside a name that it is only here. */
export function LocalMark(): JSX.Element {
  return (
    <span class="local-mark" title={t().local.markWords}>
      <Icon name="laptop" /> <span>{t().local.mark}</span>
    </span>
  );
}

/** At the head of a study that is only here: the mark, and the way into the archive. */
export function LocalHead(props: { readonly onStore: () => void }): JSX.Element {
  return (
    <>
      <LocalMark />
      <button type="button" class="button local-store" aria-label={t().local.store} title={t().local.storeWords} onClick={() => props.onStore()}>
        <Icon name="upload" /> <span>{t().local.store}</span>
      </button>
    </>
  );
}
