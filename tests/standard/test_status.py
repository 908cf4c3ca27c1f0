"""Status codes: their categories by range, their words by service."""

from __future__ import annotations

import pynetdicom.status
import pytest

from gantry.standard import status
from gantry.standard.status import Category, Service, category, statuses


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x0000, Category.SUCCESS),
        (0xFF00, Category.PENDING),
        (0xFF01, Category.PENDING),
        (0xFE00, Category.CANCEL),
        (0x0001, Category.WARNING),
        (0x0107, Category.WARNING),
        (0x0116, Category.WARNING),
        (0xB000, Category.WARNING),
        (0xBFFF, Category.WARNING),
        (0xA700, Category.FAILURE),
        (0xC123, Category.FAILURE),
        (0x0110, Category.FAILURE),
        (0x0213, Category.FAILURE),
        (0x7777, Category.FAILURE),
        (0xFF02, Category.FAILURE),
    ],
)
def test_the_category_depends_on_the_code_alone(code: int, expected: Category) -> None:
    assert category(code) is expected
    for service in Service:
        assert status.status(service, code).category is expected


def test_every_code_has_a_category_and_words() -> None:
    for code in range(0x10000):
        for service in Service:
            assert status.status(service, code).text
        assert isinstance(category(code), Category)


def test_the_same_code_means_what_the_service_says() -> None:
    assert "coercion" in status.status(Service.STORE, 0xB000).text
    assert "sub-operations" in status.status(Service.MOVE, 0xB000).text
    assert "destination" in status.status(Service.MOVE, 0xA801).text
    assert "out of resources" in status.status(Service.STORE, 0xA712).text
    assert "cannot understand" in status.status(Service.STORE, 0xCFFF).text
    assert "unable to process" in status.status(Service.FIND, 0xC001).text


@pytest.mark.parametrize("code", [0x0105, 0x0106, 0x0110, 0x0111, 0x0112, 0x0117, 0x0118, 0x0119, 0x0120])
def test_a_code_common_to_all_services_keeps_its_words(code: int) -> None:
    assert len({status.status(service, code).text for service in Service}) == 1


def test_a_services_table_is_complete_and_in_order() -> None:
    for service in Service:
        codes = [row.code for row in statuses(service)]
        assert codes == sorted(set(codes))
        assert {0x0000, 0x0122, 0x0124, 0x0210, 0x0211, 0x0212, 0x0213, 0xFE00} <= set(codes)
    find = {row.code for row in statuses(Service.FIND)}
    assert {0xA700, 0xA900, 0xC000, 0xFF00, 0xFF01} <= find
    assert 0xFF01 not in {row.code for row in statuses(Service.MOVE)}


def test_categories_agree_with_pynetdicoms_tables() -> None:
    tables = (
        pynetdicom.status.STORAGE_SERVICE_CLASS_STATUS,
        pynetdicom.status.QR_FIND_SERVICE_CLASS_STATUS,
        pynetdicom.status.QR_MOVE_SERVICE_CLASS_STATUS,
        pynetdicom.status.QR_GET_SERVICE_CLASS_STATUS,
    )
    for table in tables:
        for code, (kind, _) in table.items():
            assert category(code).value == kind, hex(code)
