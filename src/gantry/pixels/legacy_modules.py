"""Which attributes of single-frame objects stand at the top of converted ones (PS3.3 A.70 to A.72).

The attributes of the modules that both have in common, edition 2024b: patient, study, series, frame of
reference, equipment, synchronization, contrast, device, specimen, acquisition context, Image Pixel, SOP
Common. All others go into functional groups; so does Lossy Image Compression, which the top tells of all.
"""

from __future__ import annotations

from typing import Final

from gantry.standard.dictionary import is_private, tags_of

_WHOLE_GROUPS: Final = frozenset({0x0010, 0x0012})
"""Patient, Patient Study, and the modules of clinical trials have these groups for themselves."""

_TAGS: Final = frozenset(
    tags_of(
        # General Study, Patient Study
        "StudyInstanceUID StudyDate StudyTime ReferringPhysicianName "
        "ReferringPhysicianIdentificationSequence ConsultingPhysicianName "
        "ConsultingPhysicianIdentificationSequence StudyID AccessionNumber "
        "IssuerOfAccessionNumberSequence StudyDescription PhysiciansOfRecord "
        "PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy "
        "PhysiciansReadingStudyIdentificationSequence RequestingServiceCodeSequence RequestingService "
        "ReferencedStudySequence ProcedureCodeSequence ReasonForPerformedProcedureCodeSequence "
        "AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence AdmissionID "
        "IssuerOfAdmissionIDSequence ServiceEpisodeID "
        "ServiceEpisodeDescription IssuerOfServiceEpisodeIDSequence PatientState "
        # General Series
        "Modality SeriesNumber Laterality SeriesDate SeriesTime PerformingPhysicianName "
        "PerformingPhysicianIdentificationSequence ProtocolName SeriesDescription "
        "SeriesDescriptionCodeSequence OperatorsName OperatorIdentificationSequence "
        "ReferencedPerformedProcedureStepSequence RelatedSeriesSequence BodyPartExamined PatientPosition "
        "RequestAttributesSequence PerformedProcedureStepID PerformedProcedureStepStartDate "
        "PerformedProcedureStepStartTime PerformedProcedureStepEndDate PerformedProcedureStepEndTime "
        "PerformedProcedureStepDescription PerformedProtocolCodeSequence CommentsOnThePerformedProcedureStep "
        # Frame of Reference, Synchronization
        "FrameOfReferenceUID PositionReferenceIndicator SynchronizationFrameOfReferenceUID "
        "SynchronizationTrigger TriggerSourceOrType SynchronizationChannel AcquisitionTimeSynchronized "
        "TimeSource TimeDistributionProtocol NTPSourceAddress "
        # General Equipment
        "Manufacturer InstitutionName InstitutionAddress StationName InstitutionalDepartmentName "
        "InstitutionalDepartmentTypeCodeSequence ManufacturerModelName ManufacturerDeviceClassUID "
        "DeviceSerialNumber SoftwareVersions GantryID DeviceUID UDISequence SpatialResolution "
        "DateOfLastCalibration TimeOfLastCalibration PixelPaddingValue "
        # Image Pixel, as far as it is the same for all frames, and what is said of the image as a whole
        "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit "
        "PixelRepresentation PixelPaddingRangeLimit ICCProfile BurnedInAnnotation RecognizableVisualFeatures "
        "LossyImageCompressionRatio LossyImageCompressionMethod PresentationLUTShape "
        # Contrast/Bolus, Acquisition Context, Device, Specimen
        "ContrastBolusAgent ContrastBolusAgentSequence ContrastBolusRoute "
        "ContrastBolusAdministrationRouteSequence ContrastBolusVolume ContrastBolusStartTime "
        "ContrastBolusStopTime ContrastBolusTotalDose ContrastFlowRate ContrastFlowDuration "
        "ContrastBolusIngredient ContrastBolusIngredientConcentration AcquisitionContextSequence "
        "AcquisitionContextDescription DeviceSequence ContainerIdentifier "
        "IssuerOfTheContainerIdentifierSequence ContainerTypeCodeSequence SpecimenDescriptionSequence "
        # SOP Common
        "SpecificCharacterSet TimezoneOffsetFromUTC CodingSchemeIdentificationSequence"
    )
)

REQUIRED: Final = tags_of(
    "StudyDate StudyTime AccessionNumber ReferringPhysicianName PatientName PatientID PatientBirthDate "
    "PatientSex StudyID SeriesNumber Manufacturer PositionReferenceIndicator AcquisitionContextSequence"
)
"""What the top must have, be it empty (Type 2)."""


def is_at_top(tag: int) -> bool:
    """Whether an attribute that all frames share stands at the top."""
    return tag in _TAGS or (tag >> 16 in _WHOLE_GROUPS and not is_private(tag))
