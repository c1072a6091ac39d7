"""Canaries: words and numbers that stand where a patient's may, and the search for them in all that comes out."""

from __future__ import annotations

import base64
import gzip
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pydicom
from nibabel.nifti1 import Nifti1Extension, Nifti1Image
from PIL import Image
from pydicom.dataset import Dataset

from tests.vision.small_files import AFFINE, body_hu, dicom_bytes, dicom_slices

TEXT_TAGS = (
    *("PatientName", "PatientID", "PatientBirthName", "PatientMotherBirthName", "OtherPatientNames"),
    *("OtherPatientIDs", "IssuerOfPatientID", "PatientAddress", "PatientTelephoneNumbers", "PatientComments"),
    *("AdditionalPatientHistory", "MedicalRecordLocator", "MilitaryRank", "BranchOfService"),
    *("CountryOfResidence", "RegionOfResidence", "Occupation", "EthnicGroup", "PatientReligiousPreference"),
    *("ResponsiblePerson", "ResponsibleOrganization", "PatientBreedDescription", "AccessionNumber", "StudyID"),
    *("StudyDescription", "SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress"),
    *("InstitutionalDepartmentName", "ReferringPhysicianName", "PerformingPhysicianName"),
    *("NameOfPhysiciansReadingStudy", "OperatorsName", "PhysiciansOfRecord", "RequestingPhysician"),
    *("RequestedProcedureDescription", "RequestedProcedureID", "PerformedProcedureStepDescription"),
    *("PerformedProcedureStepID", "ReasonForStudy", "AdmittingDiagnosesDescription", "ImageComments"),
    *("StationName", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
    *("ContrastBolusAgent", "ContrastBolusRoute", "BodyPartExamined", "ConvolutionKernel", "FilterType"),
    "DerivationDescription",
)
EXACT_TAGS: Mapping[str, str] = {
    "PatientBirthDate": "19310203",
    "PatientBirthTime": "041517",
    "StudyDate": "19310204",
    "SeriesDate": "19310205",
    "AcquisitionDate": "19310206",
    "ContentDate": "19310207",
    "StudyTime": "051627.777191",
    "AcquisitionTime": "061729.777193",
    "PatientAge": "093Y",
    "PatientWeight": "87.77197",
    "PatientSize": "1.77199",
    "StudyInstanceUID": "1.2.840.777101.1",
    "SeriesInstanceUID": "1.2.840.777102.1",
    "FrameOfReferenceUID": "1.2.840.777103.1",
    "InstanceCreatorUID": "1.2.840.777104.1",
    "DeviceUID": "1.2.840.777105.1",
}
INSTANCE_UID = "1.2.840.777106"
NUMBERS = (
    *("19310203", "19310204", "19310205", "19310206", "19310207", "1931-02", "041517", "051627", "061729", "777191"),
    *("777193", "093Y", "87.771", "1.77199", "777101", "777102", "777103", "777104", "777105", "777106"),
)


def word(place: str) -> str:
    """The canary of a place: a word that nothing else contains."""
    return f"QXKNRY{place.upper().replace('_', '')[:20]}"


WORD = re.compile(rb"QXKNRY[A-Z0-9]{1,20}", re.IGNORECASE)
CODED = re.compile(rb"base64,([A-Za-z0-9+/=]+)")


def canary_series() -> list[pydicom.FileDataset]:
    """A CT series with a canary in every text tag, date, time and UID, in private tags, sequences and the preamble."""
    slices = dicom_slices()
    with pydicom.config.disable_value_validation():
        for number, one in enumerate(slices, start=1):
            for tag in TEXT_TAGS:
                one[tag] = pydicom.DataElement(tag, pydicom.datadict.dictionary_VR(tag), word(tag))
            for tag, value in EXACT_TAGS.items():
                setattr(one, tag, value)
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{INSTANCE_UID}.{number}"
            block = one.private_block(0x0029, word("creator"), create=True)
            block.add_new(0x10, "LT", word("private_text"))
            block.add_new(0x11, "OB", word("private_bytes").encode() + b"\0")
            inner = Dataset()
            inner.RequestedProcedureID, inner.PatientID = word("inner_procedure"), word("inner_id")
            one.RequestAttributesSequence, one.OtherPatientIDsSequence = [inner], [inner]
            one.file_meta.SourceApplicationEntityTitle = word("application")
            one.preamble = word("preamble").encode().ljust(128, b"\0")
    return slices


def write_dicom(folder: Path) -> Path:
    """The series in folders and files that are named after somebody."""
    place = folder / word("folder") / word("subfolder")
    place.mkdir(parents=True)
    for number, one in enumerate(canary_series()):
        (place / f"{word('file')}_{number}.dcm").write_bytes(dicom_bytes(one))
    (place / f"{word('readme')}.txt").write_text(word("readme_text"))
    return folder / word("folder")


def write_zip(folder: Path) -> Path:
    """The series as a zip with telling names, comments and extra fields."""
    path = folder / f"{word('archive')}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = word("comment").encode()
        for number, one in enumerate(canary_series()):
            member = zipfile.ZipInfo(f"{word('member_folder')}/{word('member')}_{number}")
            member.comment = word("member_comment").encode()
            archive.writestr(member, dicom_bytes(one))
    return path


def write_nifti(folder: Path) -> Path:
    """A NIfTI file with a canary in each text field of its header, an extension, and the header of gzip."""
    image = Nifti1Image(body_hu(), AFFINE)
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[field] = word(field)
    image.header["data_type"] = word("dt")
    image.header.extensions.append(Nifti1Extension("comment", word("extension").encode()))
    image.header.set_xyzt_units("mm")
    image.set_sform(AFFINE, 1)
    image.set_qform(AFFINE, 1)
    place = folder / word("nifti_folder")
    place.mkdir()
    path = place / f"{word('nifti')}.nii.gz"
    with path.open("wb") as stream, gzip.GzipFile(f"{word('gzip')}.nii", "wb", 1, stream) as inner:
        inner.write(image.to_bytes())
    return path


INPUTS = {"dicom": write_dicom, "zip": write_zip, "nifti": write_nifti}


def planted(path: Path) -> frozenset[str]:
    """Every canary in an input: its names and its bytes, unpacked."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    names = " ".join(str(file) for file in files).encode()
    return frozenset(
        canaries_in(names + b"".join(content for file in files for content in unpacked(file.read_bytes())))
    )


def canaries_in(content: bytes | str) -> set[str]:
    """The canaries in some bytes or text."""
    raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    found = {match.group().decode().upper() for match in WORD.finditer(raw)}
    # Pixels and compressed bytes can spell a number by chance; in a text it stands alone.
    return found | {number for number in NUMBERS if re.search(rb"(?<![0-9])" + re.escape(number.encode()), raw)}


def unpacked(content: bytes) -> Iterator[bytes]:
    """Some bytes, and what is packed in them: gzip, zip members with their names, PNG texts, pictures of a page."""
    yield CODED.sub(b"", content)
    if content.startswith(b"\x1f\x8b"):
        yield from unpacked(gzip.decompress(content))
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive.comment
            for member in archive.infolist():
                yield member.filename.encode() + member.comment + member.extra
                yield from unpacked(archive.read(member))
    elif content.startswith(b"\x89PNG"):
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            yield repr(picture.info).encode()
    for coded in CODED.findall(content):
        yield from unpacked(base64.b64decode(coded))


def leaks_in(folder: Path) -> dict[str, set[str]]:
    """File -> canaries in its name or in anything that it holds; a folder counts by its name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        leaked = canaries_in(name)
        if path.is_file():
            leaked |= {canary for content in unpacked(path.read_bytes()) for canary in canaries_in(content)}
        if leaked:
            found[name] = leaked
    return found
