/** The series of a study: at the left on a desk, along the bottom on a phone. */
import { Index, createEffect, on, type JSX } from "solid-js";
import { instancePath, instanceThumbnail, seriesThumbnail } from "../api/dicomweb";
import { sopInstanceUid, type DisplaySet, type SheetKind } from "../dicom/displaysets";
import { listed, modalityInWords } from "../dicom/words";
import { t } from "../i18n/study";
import type { OpenStudy, SeriesEntry } from "../state/study";
import type { IconName } from "./icons";
import { localThumbnail } from "./localthumbnail";
import { DRAGGED_SET } from "./StageCell";
import { Thumbnail } from "./Thumbnail";

/** Twice the size on screen, for dense displays. */
const THUMBNAIL_PX = 128;

const SHEET_ICON: Readonly<Record<SheetKind, IconName>> = {
  report: "fileText",
  document: "fileText",
  waveform: "activity",
  video: "film",
  undrawn: "file",
  other: "file",
};

export interface SeriesRailProps {
  readonly study: OpenStudy;
  readonly uid: string;
  /** Whether the study is on this device only, so that its pictures are made here. */
  readonly isLocal: boolean;
  /** The display set of the active cell, and those of all cells. */
  readonly active: string | null;
  readonly shown: readonly string[];
  /** Takes the identifier of a display set, or of a series that is not read yet. */
  readonly onOpen: (name: string) => void;
}

export function SeriesRail(props: SeriesRailProps): JSX.Element {
  let rail!: HTMLElement;
  createEffect(
    on(
      () => props.active,
      (active) => {
        if (active) rail.querySelector(`[aria-current="true"]`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
      },
      { defer: true },
    ),
  );
  return (
    <nav class="rail" aria-label={t().rail.title} ref={rail}>
      <Index each={props.study.state().series}>
        {(series) => (
          <Index each={series().sets?.length ? series().sets! : [null]}>
            {(set, position) => (
              <RailItem
                {...props}
                series={series()}
                set={set()}
                position={position}
              />
            )}
          </Index>
        )}
      </Index>
    </nav>
  );
}

interface RailItemProps extends SeriesRailProps {
  readonly series: SeriesEntry;
  readonly set: DisplaySet | null;
  readonly position: number;
}

function RailItem(props: RailItemProps): JSX.Element {
  const name = () => props.set?.id ?? props.series.uid;
  const picture = localThumbnail(() => (props.isLocal && props.set?.kind === "stack" ? props.set : undefined), props.uid);
  const drag = (event: DragEvent) => {
    event.dataTransfer?.setData(DRAGGED_SET, name());
    if (event.dataTransfer) event.dataTransfer.effectAllowed = "copy";
  };
  return (
    <button
      type="button"
      class="rail-item"
      classList={{ shown: props.shown.includes(name()) }}
      aria-current={props.active === name()}
      draggable={true}
      onDragStart={drag}
      onClick={() => props.onOpen(name())}
    >
      <Thumbnail address={props.isLocal ? picture() : thumbnail(props)} icon={icon(props.set)} />
      <span class="rail-words">
        <strong>{title(props)}</strong>
        <small>{amount(props)}</small>
      </span>
    </button>
  );
}

/** The address stays the same when the metadata comes, so that the picture does not blink. */
function thumbnail({ set, series, position, uid }: RailItemProps): string | null {
  if (set?.kind === "sheet") return null;
  if (!set && NOT_DRAWN.has(series.modality)) return null;
  // Of a slide's label and overview each has its own: the picture of the series is one of tiles.
  if (!set || (position === 0 && !NOT_DRAWN.has(series.modality))) return seriesThumbnail(uid, series.uid, THUMBNAIL_PX);
  return instanceThumbnail(instancePath(uid, set.seriesUid, sopInstanceUid(set.frames[0]!.instance)), THUMBNAIL_PX);
}

/** Modalities of which there is no picture, or none that says anything (PS3.3 C.7.3.1.1.1). */
const NOT_DRAWN = new Set(
  "SR KO PR DOC ECG RTPLAN RTSTRUCT RTDOSE RTRECORD REG PLAN SEG SM ANN RWV FID M3D AU HD EPS RESP EEG EMG EOG HC ASMT".split(" "),
);

function icon(set: DisplaySet | null): IconName {
  return set?.kind === "sheet" ? SHEET_ICON[set.sheet] : "file";
}

function title({ series }: RailItemProps): string {
  return series.description || modalityInWords(series.modality) || t().rail.series;
}

function amount({ series, set }: RailItemProps): string {
  const lead = listed([series.modality, series.number?.toString()], " ") || t().rail.series;
  if (series.error) return `${lead} · ${t().rail.unreadable}`;
  if (!set) return `${lead} · ${t().counts.objects(series.instances)}`;
  if (set.kind === "sheet") return `${lead} · ${t().rail[set.sheet]}`;
  const { frames, images } = t().counts;
  return listed([lead, set.part, (set.multiFrame ? frames : images)(set.frames.length)]);
}
