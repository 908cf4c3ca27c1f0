/**
 * Studies read from files on this device. Nothing of them leaves it: the page keeps the files' handles and what tells
 * one object from another, and reads headers again, whole, when a series is opened.
 */
import { createSignal } from "solid-js";
import { ApiError } from "../api/http";
import { TAG, text, type DicomObject } from "../dicom/model";
import { t } from "../i18n/language";
import { dropFile, fileOf, keepFile, noteLocal } from "./localfiles";
import type { Problem, Read } from "./localreading";
import type { ReadFiles } from "./localworker";
import type { PriorsSource } from "./priors";
import type { StudySource } from "./study";

/** A file and where it lay in what was given. */
export interface FoundFile {
  readonly file: File;
  readonly path: string;
}

export interface LocalProblem extends Problem {
  readonly path: string;
}

export interface LocalStudy {
  readonly uid: string;
  /** Attributes of study and patient, as of its first object. */
  readonly object: DicomObject;
  readonly modalities: readonly string[];
  readonly series: number;
  readonly objects: number;
}

export interface LocalState {
  readonly busy: boolean;
  /** Folders are walked; how many files there are is not known yet. */
  readonly looking: boolean;
  readonly done: number;
  readonly total: number;
  readonly studies: readonly LocalStudy[];
  readonly objects: number;
  /** Files that are no DICOM. */
  readonly passedOver: number;
  /** Objects that another file holds too. */
  readonly repeated: number;
  /** Files that the disc's own list names and that were not among those given. */
  readonly absent: number;
  readonly problems: readonly LocalProblem[];
  readonly problemCount: number;
  /** What the program itself failed with. */
  readonly crash: Error | null;
}

export interface LocalFiles extends Required<StudySource>, PriorsSource {
  readonly state: () => LocalState;
  /** Adds what these files hold to what is known. */
  read(files: readonly FoundFile[] | Promise<readonly FoundFile[]>): Promise<void>;
  /** One object of the study to make a picture of: the middle one of its first series. */
  sample(study: string): Promise<DicomObject | undefined>;
  cancel(): void;
  forget(): void;
  /** All files of a study, in no order. */
  filesOf(study: string): readonly File[];
  has(study: string): boolean;
}

/** So many files go to the worker together: progress moves, and a cancel is heard. */
const AT_A_TIME = 32;
/** Those named; the others are only counted. */
const MOST_NAMED = 200;

const WITHOUT_PICTURES = new Set(["SR", "KO", "PR", "DOC", "ECG", "RTPLAN", "RTSTRUCT", "REG", "PLAN"]);

const NOTHING: LocalState = {
  busy: false, looking: false, done: 0, total: 0, studies: [], objects: 0, passedOver: 0, repeated: 0, absent: 0, problems: [],
  problemCount: 0, crash: null,
};

interface SeriesHeld {
  readonly object: DicomObject;
  /** File numbers by SOP Instance UID. */
  readonly files: Map<string, number>;
}

interface StudyHeld {
  readonly object: DicomObject;
  readonly series: Map<string, SeriesHeld>;
  /** Where the first of its files stands in the disc's own list, or was found. */
  rank: number;
}

export function createLocalFiles(readFiles: ReadFiles): LocalFiles {
  const [state, setWhole] = createSignal<LocalState>(NOTHING);
  const setState = (part: Partial<LocalState>) => setWhole((whole) => ({ ...whole, ...part }));
  const studies = new Map<string, StudyHeld>();
  const paths = new Map<number, string>();
  /** Paths as DICOMDIRs list them, in small letters. */
  let ranks = new Map<string, number>();
  let run = 0;

  async function read(given: readonly FoundFile[] | Promise<readonly FoundFile[]>): Promise<void> {
    const own = (run += 1);
    setState({ busy: true, looking: true, crash: null, done: 0, total: 0 });
    try {
      const files = await given;
      if (own !== run) return;
      setState({ looking: false, total: files.length });
      await readAll(files, () => own === run);
    } catch (crash) {
      if (own === run) setState({ crash: crash as Error });
    }
    if (own === run) setState({ busy: false, looking: false, absent: absentFiles(), studies: listed() });
  }

  async function readAll(files: readonly FoundFile[], goesOn: () => boolean): Promise<void> {
    const numbered = files.map(({ file, path }) => {
      const number = keepFile(file);
      paths.set(number, path);
      return { number, file };
    });
    for (let at = 0; at < numbered.length; at += AT_A_TIME) {
      const found = await readFiles(numbered.slice(at, at + AT_A_TIME), false);
      if (!goesOn()) return;
      take(found);
    }
  }

  function take(found: readonly Read[]): void {
    let { objects, passedOver, repeated, problemCount } = state();
    const problems: LocalProblem[] = [];
    for (const { number, object, problem, directory } of found) {
      if (directory) learn(directory, paths.get(number) ?? "");
      else if (object && keep(number, object)) objects += 1;
      else if (object) repeated += 1;
      else if (problem?.why === "notDicom") passedOver += 1;
      else if (problem) {
        problemCount += 1;
        problems.push({ ...problem, path: paths.get(number) ?? "" });
      }
    }
    const named = [...state().problems, ...problems].slice(0, MOST_NAMED);
    const done = state().done + found.length;
    setState({ objects, passedOver, repeated, problemCount, problems: named, done, studies: listed() });
  }

  function learn(directory: readonly string[], path: string): void {
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    for (const name of directory) ranks.set((folder + name).toLowerCase(), ranks.size);
  }

  function rankOf(number: number): number {
    return ranks.get((paths.get(number) ?? "").toLowerCase()) ?? Infinity;
  }

  function absentFiles(): number {
    if (ranks.size === 0) return 0;
    const given = new Set([...paths.values()].map((path) => path.toLowerCase()));
    return [...ranks.keys()].filter((path) => !given.has(path)).length;
  }

  /** False for an object that is known already. */
  function keep(number: number, object: DicomObject): boolean {
    const [study, series, instance] = [TAG.studyInstanceUid, TAG.seriesInstanceUid, TAG.sopInstanceUid].map(
      (tag) => text(object, tag) ?? "",
    ) as [string, string, string];
    if (!studies.has(study)) studies.set(study, { object, series: new Map(), rank: Infinity });
    const held = studies.get(study)!;
    if (!held.series.has(series)) held.series.set(series, { object, files: new Map() });
    const { files } = held.series.get(series)!;
    if (files.has(instance)) return false;
    files.set(instance, number);
    return true;
  }

  /** In the order of the disc's own list where there is one, else by patient and newest first. */
  function listed(): readonly LocalStudy[] {
    for (const held of studies.values()) held.rank = ranks.size === 0 ? Infinity : leastRank(held);
    const key = ({ object }: StudyHeld) => JSON.stringify(object[TAG.patientName]?.Value?.[0] ?? "");
    const date = ({ object }: StudyHeld) => (text(object, TAG.studyDate) ?? "") + (text(object, TAG.studyTime) ?? "");
    return [...studies]
      .sort(([, a], [, b]) => order(a.rank, b.rank) || key(a).localeCompare(key(b)) || date(b).localeCompare(date(a)))
      .map(([uid, held]) => studyOf(uid, held));
  }

  function leastRank(held: StudyHeld): number {
    let least = Infinity;
    for (const { files } of held.series.values())
      for (const number of files.values()) least = Math.min(least, rankOf(number));
    return least;
  }

  function seriesOf(study: string): readonly [string, SeriesHeld][] {
    return [...(studies.get(study)?.series ?? [])];
  }

  function gone(detail: string): ApiError {
    return new ApiError(() => t().local.gone, detail);
  }

  async function whole(numbers: readonly number[]): Promise<readonly Read[]> {
    const files = numbers.flatMap((number) => {
      const file = fileOf(number);
      return file ? [{ number, file }] : [];
    });
    const found = await readFiles(files, true);
    for (const { object } of found) if (object) noteLocal(object);
    return found;
  }

  const studyObject = (uid: string, held: StudyHeld): DicomObject => ({
    ...held.object,
    [TAG.modalitiesInStudy]: { vr: "CS", Value: studyOf(uid, held).modalities },
  });

  return {
    state,
    read,
    cancel() {
      run += 1;
      setState({ busy: false, looking: false, studies: listed() });
    },
    forget() {
      run += 1;
      studies.clear();
      for (const number of paths.keys()) dropFile(number);
      paths.clear();
      ranks = new Map();
      setWhole(NOTHING);
    },
    has: (study) => studies.has(study),
    filesOf: (study) =>
      seriesOf(study).flatMap(([, { files }]) => [...files.values()].flatMap((number) => fileOf(number) ?? [])),
    findSeries(study) {
      if (!studies.has(study)) return Promise.reject(gone(`no files of ${study}`));
      const found = seriesOf(study).map(([, { object, files }]) => ({
        ...object,
        [TAG.numberOfSeriesRelatedInstances]: { vr: "IS", Value: [files.size] },
      }));
      return Promise.resolve(found);
    },
    async seriesMetadata(study, series, signal) {
      const numbers = [...(studies.get(study)?.series.get(series)?.files.values() ?? [])];
      const objects: DicomObject[] = [];
      let failed: Problem | undefined;
      for (let at = 0; at < numbers.length; at += AT_A_TIME) {
        signal.throwIfAborted();
        for (const { object, problem } of await whole(numbers.slice(at, at + AT_A_TIME))) {
          if (object) objects.push(object);
          else failed = problem;
        }
      }
      if (objects.length === 0) throw gone(`no file of series ${series} could be read again: ${failed?.why ?? "none"}`);
      return objects;
    },
    async sample(study) {
      const series = seriesOf(study).map(([, held]) => held);
      const first = series.find(({ object }) => !WITHOUT_PICTURES.has(text(object, TAG.modality) ?? ""));
      const numbers = [...(first?.files.values() ?? [])];
      const middle = numbers[numbers.length >> 1];
      return middle === undefined ? undefined : (await whole([middle]))[0]?.object;
    },
    findStudy(study) {
      const held = studies.get(study);
      return Promise.resolve(held && studyObject(study, held));
    },
    findStudiesOfPatient(patientId) {
      const found = [...studies].filter(([, { object }]) => text(object, TAG.patientId) === patientId);
      return Promise.resolve(found.map(([uid, held]) => studyObject(uid, held)));
    },
  };
}

function order(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

function studyOf(uid: string, held: StudyHeld): LocalStudy {
  const modalities = new Set<string>();
  let objects = 0;
  for (const { object, files } of held.series.values()) {
    const modality = text(object, TAG.modality);
    if (modality) modalities.add(modality);
    objects += files.size;
  }
  return { uid, object: held.object, modalities: [...modalities], series: held.series.size, objects };
}

/** For people: a tag as `(0010,0010)`. */
export function problemDetail({ why, tag, offset }: Problem): string {
  const place = [tag && `(${tag.slice(0, 4)},${tag.slice(4)})`, offset !== undefined && `@${offset}`].filter(Boolean);
  return [why, ...place].join(" ");
}

