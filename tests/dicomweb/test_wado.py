from __future__ import annotations

import pytest

from gantry.dicomweb.accept import choose, parse_accept
from gantry.dicomweb.wado import (
    frame_offers,
    media_types_of,
    parse_frame_list,
    syntaxes_of,
)
from gantry.errors import WebRequestError
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES


def test_frames_are_numbers_from_one_in_the_order_asked() -> None:
    assert parse_frame_list("3,1,2,1") == (3, 1, 2, 1)


@pytest.mark.parametrize("name", ["video/H265", "video/h265", "VIDEO/H265"])
def test_media_types_are_the_same_in_any_case(name: str) -> None:
    hevc = "1.2.840.10008.1.2.4.107"
    offers = frame_offers(hevc, decodable=False, single_part=True)
    found = choose(parse_accept(f"{name}; transfer-syntax=*"), offers)
    assert found is not None
    assert found.transfer_syntax == hevc


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1,", ",1", "1,,2", "a", "1.5", "9223372036854775808", "²", " 1", "1,2,0"]
)
def test_b68_a_frame_list_that_cannot_be_is_400(text: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse_frame_list(text)
    assert caught.value.status == 400


def test_b68_ten_thousand_and_one_frames_are_400() -> None:
    assert len(parse_frame_list(",".join(["1"] * 10_000))) == 10_000
    with pytest.raises(WebRequestError):
        parse_frame_list(",".join(["1"] * 10_001))


def test_every_compressed_syntax_of_images_and_video_has_a_media_type() -> None:
    without = {
        syntax.name
        for uid, syntax in TRANSFER_SYNTAXES.items()
        if syntax.encapsulated and not syntax.retired and not media_types_of(uid)
    }
    # No media type is tabulated for these: they are had as octets with their transfer-syntax named.
    untabulated = ("JPIP", "SMPTE", "Encapsulated", "Deflated")
    assert not {name for name in without if not any(word in name for word in untabulated)}


def test_media_types_and_syntaxes_agree() -> None:
    assert "1.2.840.10008.1.2.4.70" in syntaxes_of("image/jpeg")
    assert media_types_of("1.2.840.10008.1.2.4.80")[0] == "image/jls"
