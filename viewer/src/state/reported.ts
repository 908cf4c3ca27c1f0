/**
 * What structured reports of a study measured, ours and others', to be looked at on the images: by report, the
 * newest first. What is still in the draft, too, is seen there alone.
 */
import { createSignal } from "solid-js";
import type { DraftMeasurement } from "../api/drafts";
import { isCancelled } from "../api/http";
import type { Reports, ReportSource, ReportedMeasurement } from "../api/reports";
import type { ImagePoint, Spacing } from "../dicom/measure";
import type { Told } from "../dicom/measurewords";
import { fromDraft, referenceOf } from "./draftform";
import type { ImageReference, Measurement } from "./measurements";

/** A measurement of a report; its id is of this page alone, since others name theirs as they like. */
export interface Reported {
  readonly shape: Measurement;
  /** What the report says, not what we would measure. */
  readonly told: readonly Told[];
  /** What the report calls it: ours by the UID that it had as a draft. */
  readonly name: string;
  readonly report: ReportSource;
  /** Whether its image is in the study. */
  readonly isHere: boolean;
}

export interface ReportRead {
  readonly source: ReportSource;
  readonly list: readonly Reported[];
  /** How many things in it cannot be drawn, and why, in English. */
  readonly missed: number;
  readonly reasons: string;
}

export interface ReportStore {
  read(signal: AbortSignal): Promise<Reports>;
  /** The size of an image's pixels; undefined where the image is not in the study. */
  spacingOf(image: ImageReference, points: readonly ImagePoint[]): Promise<Spacing | undefined>;
  /** Ids of what is in the draft. */
  drafted(): ReadonlySet<string>;
}

const UNKNOWN: Spacing = { x: 1, y: 1, unit: "px", atDetector: false };

export type ReportedOnes = ReturnType<typeof createReported>;

export function createReported(store: ReportStore) {
  const [reports, setReports] = createSignal<readonly ReportRead[]>([]);
  const [failure, setFailure] = createSignal<Error | null>(null);
  const [hidden, setHidden] = createSignal(false);
  const [selected, select] = createSignal<string | null>(null);
  let lifetime = new AbortController();
  let isAsked = false;

  let sorted: { readonly from: readonly unknown[]; readonly reports: readonly ReportRead[] } | undefined;

  /** The same value as long as it says the same: lists on the page are made of it. */
  function read(): readonly ReportRead[] {
    const [all, drafted] = [reports(), store.drafted()];
    if (sorted?.from[0] !== all || sorted.from[1] !== drafted)
      sorted = {
        from: [all, drafted],
        reports: all
          .map((one) => ({ ...one, list: one.list.filter(({ name }) => !drafted.has(name)) }))
          .filter(({ list, missed }) => list.length + missed > 0),
      };
    return sorted.reports;
  }

  async function ask(): Promise<void> {
    isAsked = true;
    lifetime.abort();
    const own = (lifetime = new AbortController());
    try {
      const answer = await store.read(own.signal);
      const found = await Promise.all(answer.measurements.map((one, at) => reported(one, at, store)));
      if (own.signal.aborted) return;
      setReports(byReport(found.filter((one) => one !== null), answer));
      setFailure(null);
    } catch (error) {
      if (!isCancelled(error)) setFailure(error as Error);
    }
  }

  return {
    /** By report, the newest first. */
    read,
    failure,
    hidden,
    setHidden,
    selected,
    select,
    /** All that are to be seen now. */
    visible: (): readonly Reported[] => (hidden() ? [] : read().flatMap(({ list }) => list)),
    /** Asked once; `ask` asks again. */
    begin: (): void => void (isAsked || void ask()),
    ask,
    dispose: () => lifetime.abort(),
  };
}

async function reported(one: ReportedMeasurement, at: number, store: ReportStore): Promise<Reported | null> {
  const points = (one.points ?? []).map(([x, y]) => ({ x, y }));
  const spacing = await store.spacingOf(referenceOf(one), points);
  const shape = fromDraft(drawable(one), spacing ?? UNKNOWN);
  if (!shape) return null;
  const told = one.values ?? [];
  return { shape: { ...shape, id: `report ${at}` }, told, name: one.id, report: one.source, isHere: spacing !== undefined };
}

/** A text is drawn as a place with words beside it; what an arrow says stands beside it, too. */
function drawable(one: ReportedMeasurement): DraftMeasurement {
  const label = one.label || one.text || "";
  return { ...one, kind: one.kind === "text" ? "probe" : one.kind, label };
}

function byReport(found: readonly Reported[], { measurements, notUnderstood }: Reports): readonly ReportRead[] {
  const sources = new Map<string, ReportSource>();
  for (const { source } of measurements) sources.set(source.sopInstanceUid, source);
  return [...sources.values()]
    .map((source) => {
      const isOf = (uid: string) => uid === source.sopInstanceUid;
      const missed = notUnderstood.filter((one) => isOf(one.sopInstanceUid));
      const list = found.filter(({ report }) => isOf(report.sopInstanceUid));
      const undrawn = measurements.filter(({ source: { sopInstanceUid } }) => isOf(sopInstanceUid)).length - list.length;
      const count = missed.reduce((sum, one) => sum + one.count, undrawn);
      return { source, list, missed: count, reasons: missed.map(({ reason }) => reason).join("; ") };
    })
    .sort((a, b) => whenOf(b.source).localeCompare(whenOf(a.source)));
}

const whenOf = ({ date, time }: ReportSource) => `${date} ${time}`;
