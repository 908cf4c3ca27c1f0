/**
 * A study that is open: its series, the display sets of those that have been looked into, and
 * which one is shown.
 *
 * Every series starts as a promise of its metadata. The first is opened at once; the metadata of
 * the others follows one after the other, so that the first image never waits for them.
 */
import { createMemo, createSignal } from "solid-js";
import { isCancelled, type ApiError } from "../api/http";
import { TAG, number, personName, text, type DicomObject } from "../dicom/model";
import { displaySets, type DisplaySet } from "../dicom/displaysets";

export interface Identity {
  readonly patientName: string;
  readonly patientId: string;
  readonly birthDate: string;
  readonly sex: string;
  readonly studyDate: string;
  readonly studyTime: string;
  readonly description: string;
}

export interface SeriesEntry {
  readonly uid: string;
  readonly number: number | undefined;
  readonly description: string;
  readonly modality: string;
  readonly instances: number;
  readonly sets: readonly DisplaySet[] | null;
  readonly error: ApiError | null;
}

export interface StudyState {
  readonly identity: Identity | null;
  readonly series: readonly SeriesEntry[];
  readonly error: ApiError | null;
  readonly busy: boolean;
}

export interface StudySource {
  findSeries(study: string, signal: AbortSignal): Promise<readonly DicomObject[]>;
  seriesMetadata(study: string, series: string, signal: AbortSignal): Promise<readonly DicomObject[]>;
}

export interface OpenStudy {
  readonly state: () => StudyState;
  /** All display sets whose metadata has come, in the order of the series. */
  readonly sets: () => readonly DisplaySet[];
  find(id: string | null): DisplaySet | undefined;
  /** The first display set of a series of which the metadata may not be here yet. */
  openSeries(uid: string): Promise<DisplaySet | undefined>;
  retry(): void;
  dispose(): void;
}

/** `asked` is the series that is wanted first, where the study has it. */
export function openStudy(uid: string, source: StudySource, asked?: string): OpenStudy {
  // A signal and not a store: metadata is large, and a store would wrap every value of it.
  const [state, setWhole] = createSignal<StudyState>({
    identity: null,
    series: [],
    error: null,
    busy: true,
  });
  const setState = (part: Partial<StudyState>) => setWhole((whole) => ({ ...whole, ...part }));
  const pending = new Map<string, Promise<void>>();
  let lifetime = new AbortController();

  async function load(): Promise<void> {
    setState({ busy: true, error: null });
    try {
      const found = await source.findSeries(uid, lifetime.signal);
      const series = found.map(seriesEntry).sort(byUse);
      setState({ series, identity: found[0] ? identity(found[0]) : null });
      const first = series.find((one) => one.uid === asked) ?? series[0];
      if (first) await metadata(first.uid);
      setState({ busy: false });
      for (const { uid: next } of series) await metadata(next);
    } catch (error) {
      if (!isCancelled(error)) setState({ busy: false, error: error as ApiError });
    }
  }

  function metadata(series: string): Promise<void> {
    const known = pending.get(series);
    if (known) return known;
    const loading = loadMetadata(series);
    pending.set(series, loading);
    return loading;
  }

  async function loadMetadata(series: string): Promise<void> {
    const change = (part: Partial<SeriesEntry>) =>
      setState({
        series: state().series.map((one) => (one.uid === series ? { ...one, ...part } : one)),
      });
    try {
      change({ error: null });
      const instances = await source.seriesMetadata(uid, series, lifetime.signal);
      if (instances[0] && !state().identity?.patientName) setState({ identity: identity(instances[0]) });
      change({ sets: displaySets(instances) });
    } catch (error) {
      pending.delete(series);
      if (!isCancelled(error)) change({ error: error as ApiError });
    }
  }

  const sets = createMemo(() => state().series.flatMap((entry) => entry.sets ?? []));

  void load();
  return {
    state,
    sets,
    find: (id) => (id === null ? undefined : sets().find((set) => set.id === id)),
    async openSeries(series) {
      if (!state().series.some((entry) => entry.uid === series)) return undefined;
      await metadata(series);
      return state().series.find((entry) => entry.uid === series)?.sets?.[0];
    },
    retry() {
      lifetime.abort();
      lifetime = new AbortController();
      pending.clear();
      void load();
    },
    dispose: () => lifetime.abort(),
  };
}

function seriesEntry(series: DicomObject): SeriesEntry {
  return {
    uid: text(series, TAG.seriesInstanceUid) ?? "",
    number: number(series, TAG.seriesNumber),
    description: text(series, TAG.seriesDescription) ?? "",
    modality: text(series, TAG.modality) ?? "",
    instances: number(series, TAG.numberOfSeriesRelatedInstances) ?? 0,
    sets: null,
    error: null,
  };
}

/** Objects about images come after the images themselves. */
const LAST = new Set(["SR", "KO", "PR", "SEG", "DOC", "RTPLAN", "RTSTRUCT", "RTDOSE", "REG", "RWV", "ANN"]);

function byUse(a: SeriesEntry, b: SeriesEntry): number {
  const rank = (entry: SeriesEntry) => (LAST.has(entry.modality) ? 1 : 0);
  return rank(a) - rank(b) || (a.number ?? 1e9) - (b.number ?? 1e9) || a.uid.localeCompare(b.uid);
}

function identity(object: DicomObject): Identity {
  return {
    patientName: personName(object, TAG.patientName) ?? "",
    patientId: text(object, TAG.patientId) ?? "",
    birthDate: text(object, TAG.patientBirthDate) ?? "",
    sex: text(object, TAG.patientSex) ?? "",
    studyDate: text(object, TAG.studyDate) ?? "",
    studyTime: text(object, TAG.studyTime) ?? "",
    description: text(object, TAG.studyDescription) ?? "",
  };
}
