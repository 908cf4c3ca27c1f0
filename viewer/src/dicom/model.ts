/**
 * The DICOM JSON model (PS3.18 F) as read-only values, and the few ways this viewer reads it.
 *
 * An object is a record from the eight hexadecimal digits of a tag to an element. Values arrive
 * from many vendors: an accessor gives `undefined` for what is absent, empty or of another kind,
 * and never throws.
 */

export interface DicomElement {
  readonly vr: string;
  readonly Value?: readonly unknown[];
  readonly BulkDataURI?: string;
  readonly InlineBinary?: string;
}

export type DicomObject = Readonly<Record<string, DicomElement>>;

export type Vector3 = readonly [number, number, number];

export const TAG = {
  directoryRecordSequence: "00041220",
  referencedFileId: "00041500",
  specificCharacterSet: "00080005",
  imageType: "00080008",
  sopClassUid: "00080016",
  sopInstanceUid: "00080018",
  studyDate: "00080020",
  seriesDate: "00080021",
  contentDate: "00080023",
  acquisitionDateTime: "0008002A",
  studyTime: "00080030",
  contentTime: "00080033",
  accessionNumber: "00080050",
  modality: "00080060",
  modalitiesInStudy: "00080061",
  conversionType: "00080064",
  manufacturer: "00080070",
  institutionName: "00080080",
  codeValue: "00080100",
  codeMeaning: "00080104",
  studyDescription: "00081030",
  seriesDescription: "0008103E",
  manufacturerModelName: "00081090",
  recommendedDisplayFrameRate: "00082144",
  availableTransferSyntaxUid: "00083002",
  patientName: "00100010",
  patientId: "00100020",
  issuerOfPatientId: "00100021",
  patientBirthDate: "00100030",
  patientSex: "00100040",
  acquisitionTime: "00080032",
  bodyPartExamined: "00180015",
  cineRate: "00180040",
  sliceThickness: "00180050",
  echoTime: "00180081",
  echoNumbers: "00180086",
  triggerTime: "00181060",
  frameTime: "00181063",
  frameTimeVector: "00181065",
  viewPosition: "00185101",
  diffusionBValue: "00189087",
  imagerPixelSpacing: "00181164",
  sequenceOfUltrasoundRegions: "00186011",
  regionLocationMinX0: "00186018",
  regionLocationMinY0: "0018601A",
  regionLocationMaxX1: "0018601C",
  regionLocationMaxY1: "0018601E",
  physicalUnitsXDirection: "00186024",
  physicalUnitsYDirection: "00186026",
  physicalDeltaX: "0018602C",
  physicalDeltaY: "0018602E",
  studyInstanceUid: "0020000D",
  seriesInstanceUid: "0020000E",
  seriesNumber: "00200011",
  instanceNumber: "00200013",
  acquisitionNumber: "00200012",
  laterality: "00200060",
  temporalPositionIdentifier: "00200100",
  inStackPositionNumber: "00209057",
  frameAnatomySequence: "00209071",
  frameLaterality: "00209072",
  frameContentSequence: "00209111",
  dimensionIndexValues: "00209157",
  dimensionIndexPointer: "00209165",
  dimensionIndexSequence: "00209222",
  imagePositionVolume: "00209301",
  patientOrientation: "00200020",
  imagePositionPatient: "00200032",
  imageOrientationPatient: "00200037",
  frameOfReferenceUid: "00200052",
  imageLaterality: "00200062",
  numberOfSeriesRelatedInstances: "00201209",
  sliceLocation: "00201041",
  planePositionSequence: "00209113",
  planeOrientationSequence: "00209116",
  samplesPerPixel: "00280002",
  photometricInterpretation: "00280004",
  planarConfiguration: "00280006",
  numberOfFrames: "00280008",
  frameIncrementPointer: "00280009",
  rows: "00280010",
  columns: "00280011",
  pixelSpacing: "00280030",
  pixelAspectRatio: "00280034",
  pixelSpacingCalibrationType: "00280A02",
  bitsAllocated: "00280100",
  bitsStored: "00280101",
  highBit: "00280102",
  pixelRepresentation: "00280103",
  windowCenter: "00281050",
  windowWidth: "00281051",
  rescaleIntercept: "00281052",
  rescaleSlope: "00281053",
  rescaleType: "00281054",
  windowExplanation: "00281055",
  voiLutFunction: "00281056",
  pixelPaddingValue: "00280120",
  pixelPaddingRangeLimit: "00280121",
  modalityLutSequence: "00283000",
  lutDescriptor: "00283002",
  lutData: "00283006",
  voiLutSequence: "00283010",
  presentationLutSequence: "20500010",
  presentationLutShape: "20500020",
  pixelPresentation: "00089205",
  shutterShape: "00181600",
  shutterLeftVerticalEdge: "00181602",
  shutterRightVerticalEdge: "00181604",
  shutterUpperHorizontalEdge: "00181606",
  shutterLowerHorizontalEdge: "00181608",
  centerOfCircularShutter: "00181610",
  radiusOfCircularShutter: "00181612",
  verticesOfPolygonalShutter: "00181620",
  shutterPresentationValue: "00181622",
  shutterOverlayGroup: "00181623",
  shutterPresentationColorCielabValue: "00181624",
  frameDisplayShutterSequence: "00189472",
  maskSubtractionSequence: "00286100",
  maskOperation: "00286101",
  applicableFrameRange: "00286102",
  maskFrameNumbers: "00286110",
  maskSubPixelShift: "00286114",
  tidOffset: "00286120",
  lossyImageCompression: "00282110",
  totalPixelMatrixColumns: "00480006",
  totalPixelMatrixRows: "00480007",
  pixelMeasuresSequence: "00289110",
  frameVoiLutSequence: "00289132",
  pixelValueTransformationSequence: "00289145",
  viewCodeSequence: "00540220",
  documentTitle: "00420010",
  encapsulatedDocument: "00420011",
  mimeTypeOfEncapsulatedDocument: "00420012",
  waveformSequence: "54000100",
  units: "00541001",
  sharedFunctionalGroups: "52009229",
  perFrameFunctionalGroups: "52009230",
  extendedOffsetTable: "7FE00001",
  floatPixelData: "7FE00008",
  doubleFloatPixelData: "7FE00009",
  pixelData: "7FE00010",
} as const;

export function text(object: DicomObject | undefined, tag: string, index = 0): string | undefined {
  const value = object?.[tag]?.Value?.[index];
  if (typeof value === "string") return value.trim() || undefined;
  if (typeof value === "number") return String(value);
  return undefined;
}

/** All values that are text and hold something. */
export function texts(object: DicomObject | undefined, tag: string): readonly string[] {
  const values = object?.[tag]?.Value ?? [];
  return values.filter((value): value is string => typeof value === "string" && value.trim() !== "");
}

export function numbers(object: DicomObject | undefined, tag: string): readonly number[] {
  const values = object?.[tag]?.Value ?? [];
  return values
    .map((value) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value))
    .filter((value): value is number => typeof value === "number" && Number.isFinite(value));
}

export function number(object: DicomObject | undefined, tag: string): number | undefined {
  return numbers(object, tag)[0];
}

/** The items of a sequence; none for anything that is not one. */
export function items(object: DicomObject | undefined, tag: string): readonly DicomObject[] {
  const values = object?.[tag]?.Value ?? [];
  return values.filter(
    (value): value is DicomObject => typeof value === "object" && value !== null,
  );
}

export function vector3(object: DicomObject | undefined, tag: string): Vector3 | undefined {
  const [x, y, z] = numbers(object, tag);
  return x === undefined || y === undefined || z === undefined ? undefined : [x, y, z];
}

/** The first person name, all component groups joined with `=` as on the wire. */
export function personName(object: DicomObject | undefined, tag: string): string | undefined {
  const value = object?.[tag]?.Value?.[0];
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return undefined;
  const groups = value as Record<string, unknown>;
  const joined = ["Alphabetic", "Ideographic", "Phonetic"]
    .map((key) => (typeof groups[key] === "string" ? groups[key] : ""))
    .join("=")
    .replace(/=+$/, "");
  return joined || undefined;
}
