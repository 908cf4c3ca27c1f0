/** The few attributes worth reading of an object that is not drawn: label and value. */
import { t } from "../i18n/study";
import { TAG, items, number, numbers, personName, text, type DicomObject } from "./model";
import { dateInWords, listed, nameInWords, timeInWords } from "./words";

export interface Fact {
  readonly label: string;
  readonly value: string;
}

export function facts(instance: DicomObject): readonly Fact[] {
  const words = t().facts;
  const rows: readonly (readonly [string, string | undefined])[] = [
    [words.label, text(instance, "00700080") ?? text(instance, "30060002") ?? text(instance, "300A0002")],
    [words.description, text(instance, "00700081") ?? text(instance, TAG.seriesDescription)],
    [words.made, madeAt(instance)],
    [words.by, creator(instance)],
    [words.equipment, equipment(instance)],
    [words.instance, text(instance, TAG.instanceNumber)],
  ];
  return rows.flatMap(([label, value]) => (value ? [{ label, value }] : []));
}

function madeAt(instance: DicomObject): string | undefined {
  const date = text(instance, TAG.contentDate) ?? text(instance, "00700082") ?? text(instance, TAG.seriesDate);
  const time = text(instance, TAG.contentTime) ?? text(instance, "00700083");
  return `${dateInWords(date)} ${timeInWords(time)}`.trim() || undefined;
}

function creator(instance: DicomObject): string | undefined {
  const name = personName(instance, "00700084");
  return name ? nameInWords(name) : undefined;
}

function equipment(instance: DicomObject): string | undefined {
  return listed([text(instance, TAG.manufacturer), text(instance, TAG.manufacturerModelName)], " ");
}

export interface WaveformGroup {
  readonly channels: readonly string[];
  readonly seconds: number;
  readonly samplesPerSecond: number;
}

/** The multiplex groups of a waveform object (PS3.3 C.10.9). */
export function waveformGroups(instance: DicomObject): readonly WaveformGroup[] {
  return items(instance, TAG.waveformSequence).map((group) => {
    const samplesPerSecond = numbers(group, "003A001A")[0] ?? 0;
    const samples = number(group, "003A0010") ?? 0;
    return {
      channels: items(group, "003A0200").map(channelName),
      samplesPerSecond,
      seconds: samplesPerSecond > 0 ? samples / samplesPerSecond : 0,
    };
  });
}

function channelName(channel: DicomObject, index: number): string {
  const source = items(channel, "003A0208")[0];
  const name = text(source, TAG.codeMeaning) ?? text(channel, "003A0203") ?? t().sheet.channel(index + 1);
  return name.replace(/^Lead /i, "").replace(/\s*\(.*\)$/, "");
}
