/**
 * Answers Cornerstone's questions about an image from the DICOM JSON that the series brought.
 *
 * Ranks above Cornerstone's own providers, which read functional groups by merging all of them
 * and change the objects they are given.
 */
import { metaData } from "@cornerstonejs/core";
import type { FrameDescription } from "../dicom/frame";
import { moved } from "../dicom/geometry";
import { TAG, number, text, type DicomObject } from "../dicom/model";
import { isRendered, knownFrame, resizedOf, transferSyntaxOf } from "./imageids";

type Answer = (frame: FrameDescription, instance: DicomObject, imageId: string) => object | undefined;

const ANSWERS: Readonly<Record<string, Answer>> = {
  generalSeriesModule: (_, instance) => ({
    modality: text(instance, TAG.modality) ?? "",
    seriesInstanceUID: text(instance, TAG.seriesInstanceUid),
    studyInstanceUID: text(instance, TAG.studyInstanceUid),
    seriesNumber: number(instance, TAG.seriesNumber),
    seriesDescription: text(instance, TAG.seriesDescription),
  }),
  generalImageModule: (_, instance) => ({
    sopInstanceUID: text(instance, TAG.sopInstanceUid),
    instanceNumber: number(instance, TAG.instanceNumber),
  }),
  sopCommonModule: (_, instance) => ({
    sopClassUID: text(instance, TAG.sopClassUid),
    sopInstanceUID: text(instance, TAG.sopInstanceUid),
  }),
  imagePixelModule: (frame, _, imageId) => 
    isRendered(imageId) ? renderedPixels(sizeOf(frame, imageId)) : decodedPixels({ ...frame, ...sizeOf(frame, imageId) }),
  imagePlaneModule: imagePlane,
  voiLutModule: (frame, _, imageId) =>
    isRendered(imageId) || frame.windows.length === 0
      ? {}
      : {
          windowCenter: frame.windows.map((window) => window.center),
          windowWidth: frame.windows.map((window) => window.width),
          voiLUTFunction: [frame.voiFunction],
        },
  modalityLutModule: (frame, _, imageId) =>
    isRendered(imageId)
      ? { rescaleSlope: 1, rescaleIntercept: 0 }
      : {
          rescaleSlope: frame.rescaleSlope,
          rescaleIntercept: frame.rescaleIntercept,
          rescaleType: frame.rescaleType,
        },
  transferSyntax: (_frame, _instance, imageId) => ({ transferSyntaxUID: transferSyntaxOf(imageId) }),
};

function decodedPixels(frame: FrameDescription): object {
  const isGray = frame.photometricInterpretation.startsWith("MONOCHROME");
  return isGray && frame.isInverse ? { ...frame, photometricInterpretation: "MONOCHROME1" } : { ...frame };
}

/** What is seen of a frame may be smaller than the frame. */
function sizeOf(frame: FrameDescription, imageId: string): Pick<FrameDescription, "rows" | "columns"> {
  const { rows, columns } = resizedOf(imageId) ?? frame;
  return { rows, columns };
}

const renderedPixels = (size: Pick<FrameDescription, "rows" | "columns">) => ({
  ...size,
  samplesPerPixel: 3,
  photometricInterpretation: "RGB",
  planarConfiguration: 0,
  bitsAllocated: 8,
  bitsStored: 8,
  highBit: 7,
  pixelRepresentation: 0,
});

const FLAT = { row: [1, 0, 0], column: [0, 1, 0] } as const;

function imagePlane(frame: FrameDescription, instance: DicomObject, imageId: string): object {
  const [down, across] = frame.spacingMm ?? [frame.pixelAspect, 1];
  const { row, column } = frame.orientation ?? FLAT;
  const resized = resizedOf(imageId);
  const { x, y } = resized?.by ?? { x: 1, y: 1 };
  const [rowSpacing, columnSpacing] = [down * y, across * x];
  const corner = frame.positionMm ?? ([0, 0, 0] as const);
  // The middle of its first pixel is that of so many pixels of the frame.
  const position = resized ? moved(corner, [row, ((x - 1) / 2) * across], [column, ((y - 1) / 2) * down]) : corner;
  return {
    frameOfReferenceUID: text(instance, TAG.frameOfReferenceUid),
    ...sizeOf(frame, imageId),
    rowCosines: [...row],
    columnCosines: [...column],
    imageOrientationPatient: [...row, ...column],
    imagePositionPatient: [...position],
    pixelSpacing: [rowSpacing, columnSpacing],
    rowPixelSpacing: rowSpacing,
    columnPixelSpacing: columnSpacing,
    sliceThickness: frame.sliceThicknessMm,
    sliceLocation: frame.sliceLocationMm,
    usingDefaultValues: !(frame.spacingMm && frame.orientation && frame.positionMm),
  };
}

function provide(type: string, imageId: unknown): object | undefined {
  if (typeof imageId !== "string") return undefined;
  const found = knownFrame(imageId);
  return found && ANSWERS[type]?.(found.frame, found.instance, imageId);
}

const ABOVE_THE_OTHERS = 10_000;

export function registerProvider(): void {
  metaData.addProvider(provide, ABOVE_THE_OTHERS);
}
