from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.accept import (
    DICOM,
    DICOM_JSON,
    METADATA_OFFERS,
    OCTET_STREAM,
    Offer,
    choose,
    describe,
    parse_accept,
    require,
)
from gantry.dicomweb.wado import frame_offers, instance_offers
from gantry.errors import WebRequestError

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
J2K = "1.2.840.10008.1.2.4.90"


def chosen(accept: str | None, offers: tuple[Offer, ...]) -> str | None:
    offer = choose(parse_accept(accept), offers)
    return None if offer is None else describe(offer)


def wrapped(media_type: str, syntax: str) -> str:
    return f'multipart/related; type="{media_type}"; transfer-syntax={syntax}'


IMPLICIT_OBJECT = instance_offers(IMPLICIT, ["1.2.840.10008.1.2.1"], single_part=True)
COMPRESSED_OBJECT = instance_offers(J2K, single_part=True)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, wrapped(DICOM, IMPLICIT)),
        ("*/*", wrapped(DICOM, IMPLICIT)),
        ("multipart/related", wrapped(DICOM, IMPLICIT)),
        # PS3.18 8.7.3: without transfer-syntax it is Explicit VR Little Endian.
        ('multipart/related; type="application/dicom"', wrapped(DICOM, EXPLICIT)),
        ("application/dicom", f"{DICOM}; transfer-syntax={EXPLICIT}"),
        ("application/dicom; transfer-syntax=*", f"{DICOM}; transfer-syntax={IMPLICIT}"),
        (f"application/dicom; transfer-syntax={IMPLICIT}", f"{DICOM}; transfer-syntax={IMPLICIT}"),
        (f"application/dicom; transfer-syntax={J2K}", None),
        ("application/dicom; q=0", None),
        ("application/dicom; q=0.1, multipart/related; type=application/dicom; q=0.9", wrapped(DICOM, EXPLICIT)),
        ("text/html", None),
        ("application/*", f"{DICOM}; transfer-syntax={EXPLICIT}"),
    ],
)  # fmt: skip
def test_an_object_goes_out_in_the_form_that_accept_asks_for(
    accept: str | None, expected: str | None
) -> None:
    assert chosen(accept, IMPLICIT_OBJECT) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/dicom", None),
        ("application/dicom; transfer-syntax=*", f"{DICOM}; transfer-syntax={J2K}"),
        ("*/*", wrapped(DICOM, J2K)),
    ],
)
def test_a_compressed_object_that_cannot_be_decoded_is_had_as_stored_only(
    accept: str, expected: str | None
) -> None:
    assert chosen(accept, COMPRESSED_OBJECT) == expected


@pytest.mark.parametrize(
    ("stored", "accept", "expected"),
    [
        (JPEG, "*/*", wrapped("image/jpeg", JPEG)),
        (JPEG, 'multipart/related; type="image/jpeg"', wrapped("image/jpeg", JPEG)),
        (JPEG, f"image/jpeg; transfer-syntax={JPEG_LOSSLESS}", None),
        (JPEG, "image/*", f"image/jpeg; transfer-syntax={JPEG}"),
        (JPEG, "application/octet-stream", None),
        (JPEG, "application/octet-stream; transfer-syntax=*", f"{OCTET_STREAM}; transfer-syntax={JPEG}"),
        (J2K, "image/jp2", f"image/jp2; transfer-syntax={J2K}"),
        (J2K, "image/jpeg", None),
        (EXPLICIT, "application/octet-stream", f"{OCTET_STREAM}; transfer-syntax={EXPLICIT}"),
        (IMPLICIT, "*/*", wrapped(OCTET_STREAM, EXPLICIT)),
        (EXPLICIT, "image/jpeg", None),
    ],
)
def test_a_frame_goes_out_in_the_form_that_accept_asks_for(
    stored: str, accept: str, expected: str | None
) -> None:
    assert chosen(accept, frame_offers(stored, decodable=False, single_part=True)) == expected


def test_a_decoder_adds_the_uncompressed_form() -> None:
    offers = frame_offers(JPEG, decodable=True, single_part=True)
    assert chosen("application/octet-stream", offers) == f"{OCTET_STREAM}; transfer-syntax={EXPLICIT}"
    assert chosen("*/*", offers) == wrapped("image/jpeg", JPEG)


def test_the_more_specific_range_gives_the_quality() -> None:
    assert chosen("application/dicom+json;q=0.1, */*;q=0.5", METADATA_OFFERS) == (
        'multipart/related; type="application/dicom+xml"'
    )
    assert chosen("*/*;q=0.1, application/dicom+json;q=0", (Offer(DICOM_JSON),)) is None


def test_406_says_what_could_be_had() -> None:
    with pytest.raises(WebRequestError, match=r"application/dicom\+json") as caught:
        require(parse_accept("image/png"), METADATA_OFFERS, "the metadata")
    assert caught.value.status == 406


@pytest.mark.parametrize("q", ["abc", "2", "-1", "1.5", "0.1234", "1e3", "NaN", "00", "0.1.1", ""])
def test_b69_a_quality_that_is_no_quality_is_400(q: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse_accept(f"application/dicom; q={q}")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "accept", ["a/b;" * 16384, ",".join(["application/dicom"] * 1000), "*/*" + ";x=1" * 1000, '"' * 8000]
)
def test_b69_a_huge_accept_is_refused_fast(accept: str) -> None:
    began = perf_counter()
    with pytest.raises(WebRequestError) as caught:
        parse_accept(accept)
    assert caught.value.status == 400
    assert perf_counter() - began < 1


@given(st.text(max_size=200))
def test_any_text_is_an_accept_or_a_web_request_error(text: str) -> None:
    try:
        ranges = parse_accept(text)
    except WebRequestError as error:
        assert error.status == 400
    else:
        choose(ranges, IMPLICIT_OBJECT)
