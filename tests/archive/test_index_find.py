"""Finding: what SQL decides is what matching row by row would have found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.archive.index import AddTombstone, AddVersion, Location
from gantry.archive.index import find as find_module
from gantry.archive.index.database import Database
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index.typed import date_beginnings
from gantry.archive.query import MAX_RESULTS, FindResult, OrderBy, Query, TextQuery
from gantry.archive.records import InstanceKey, JsonModel, ObjectRecord
from gantry.dataset.matching import MatchingOptions, conditions_from_keys, matches
from gantry.errors import QueryError
from gantry.standard.query_keys import Level
from index_records import at, element, record
from support import examples

# -- an archive of oddities, and what an oracle finds in it -------------------------------------------------

NAMES: list[Any] = [
    "Doe^Jane", "DOE^JOHN", "Müller^Jörg", "Mueller^Anna", "O'Brien^Pat", "van der Berg^Jan", "Doe", "",
    {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}, "Smith^J_n%", "Smyth^Jan",
]  # fmt: skip
PATIENT_IDS = ["1234", "_1234", "%1234", "a*b", "A1", "a1", "x\\y", "'; DROP TABLE studies;--", ""]
DATES = ["20240101", "20240229", "20231231", "2024.01.01", "99999999", "", "20230615"]
TIMES = ["101500", "10", "235959.999999", "", "garbage"]
ACCESSIONS = ["A1", "A2", "a1", "A 1", ""]
DESCRIPTIONS = ["Chest CT", "CHEST", "Abdomen w/o contrast", "50% dose_test", ""]
MODALITIES = ["CT", "MR", "SR", ""]


def archive_of_oddities() -> list[ObjectRecord]:
    records = []
    for i in range(60):
        study = f"1.{i}"
        patient_id = PATIENT_IDS[i % len(PATIENT_IDS)]
        for k in range(1 + i % 3):
            series = f"{study}.{k}"
            for n in range(1 + (i + k) % 2):
                records.append(
                    record(
                        study,
                        series,
                        f"{series}.{n}",
                        tick=len(records),
                        patient_id=patient_id.split("\\")[0],
                        name=NAMES[i % len(NAMES)],
                        modality=MODALITIES[(i + k) % len(MODALITIES)],
                        study_date=DATES[i % len(DATES)],
                        study_time=TIMES[i % len(TIMES)],
                        accession=ACCESSIONS[i % len(ACCESSIONS)],
                        description=DESCRIPTIONS[i % len(DESCRIPTIONS)],
                        number=n if i % 4 else None,
                        patient={"00100020": element("LO", *patient_id.split("\\"))} if patient_id else {},
                        of_study={
                            "00080090": element("PN", NAMES[(i + 3) % len(NAMES)]),
                            "00081032": element("SQ", {"00080100": element("SH", f"C{i % 5}")}),
                        },
                        of_series={"0008103E": element("LO", f"series {k}"), "00200011": element("IS", k)},
                    )
                )
    return records


def header_of(records: list[ObjectRecord]) -> Callable[[Location], JsonModel]:
    """What the files hold: everything, and a tag that the index does not know."""
    by_path = {made.path: made for made in records}

    def header(location: Location) -> JsonModel:
        made = by_path[location.path]
        kvp = 80 + made.received_at.microsecond % 3
        return {**made.patient, **made.study, **made.series, **made.instance, "00180060": element("DS", kvp)}

    return header


class Oracle:
    """Answers queries by looking at everything."""

    def __init__(self, records: list[ObjectRecord]) -> None:
        self.rows: dict[Level, list[tuple[tuple[str, ...], JsonModel]]] = {level: [] for level in Level}
        header = header_of(records)
        patients: dict[tuple[str, str], list[ObjectRecord]] = {}
        studies: dict[str, list[ObjectRecord]] = {}
        series: dict[str, list[ObjectRecord]] = {}
        for made in records:
            scope = "" if made.patient_id else made.key.study_uid
            patients.setdefault((made.patient_id, scope), []).append(made)
            studies.setdefault(made.key.study_uid, []).append(made)
            series.setdefault(made.key.series_uid, []).append(made)

        def of_study(uid: str) -> JsonModel:
            members = studies[uid]
            modalities = sorted({m for one in members for m in one.series["00080060"]["Value"] if m})
            return {
                "00080061": element("CS", *modalities),
                "00080062": element("UI", *sorted({one.sop_class_uid for one in members})),
                "00201206": element("IS", len({one.key.series_uid for one in members})),
                "00201208": element("IS", len(members)),
                "00080056": element("CS", "ONLINE"),
            }

        for members in patients.values():
            counts = {
                "00201200": element("IS", len({one.key.study_uid for one in members})),
                "00201202": element("IS", len({one.key.series_uid for one in members})),
                "00201204": element("IS", len(members)),
                "00080056": element("CS", "ONLINE"),
                "00080061": of_study(members[0].key.study_uid)["00080061"],
            }
            self.rows[Level.PATIENT].append(
                (
                    (members[0].key.study_uid,),
                    {**members[0].patient, **counts, "00180060": self._kvp(header, members)},
                )
            )
        for uid, members in studies.items():
            first = members[0]
            model = {**first.patient, **first.study, **of_study(uid), "00180060": self._kvp(header, members)}
            self.rows[Level.STUDY].append(((uid,), model))
        for uid, members in series.items():
            first, rep = members[0], studies[members[0].key.study_uid][0]
            model = {
                **rep.patient, **rep.study, **first.series, **of_study(first.key.study_uid),
                "00201209": element("IS", len(members)), "00180060": self._kvp(header, members),
            }  # fmt: skip
            self.rows[Level.SERIES].append(((first.key.study_uid, uid), model))
        for made in records:
            rep, first = studies[made.key.study_uid][0], series[made.key.series_uid][0]
            model = {
                **rep.patient, **rep.study, **first.series, **made.instance, **of_study(made.key.study_uid),
                "00201209": element("IS", len(series[made.key.series_uid])), "00180060": self._kvp(header, [made]),
            }  # fmt: skip
            self.rows[Level.IMAGE].append((tuple(made.key), model))

    @staticmethod
    def _kvp(header: Callable[[Location], JsonModel], members: list[ObjectRecord]) -> JsonModel:
        return element("DS", 80 + members[0].received_at.microsecond % 3)

    def find(self, level: Level, keys: JsonModel, options: MatchingOptions) -> set[tuple[str, ...]]:
        conditions = conditions_from_keys(keys, options)
        return {
            uids
            for uids, model in self.rows[level]
            if all(matches(model, condition) for condition in conditions)
        }


RECORDS = archive_of_oddities()
ORACLE = Oracle(RECORDS)


@pytest.fixture(scope="module")
def oddities(new_database: Callable[[], Database]) -> Iterator[SqlIndex]:
    index = SqlIndex(new_database())
    index.apply([AddVersion(made, 1) for made in RECORDS])
    yield index
    index.close()


def uids_of(result: FindResult, level: Level) -> list[tuple[str, ...]]:
    if level is Level.PATIENT:
        patients: dict[str, str] = {}
        for made in RECORDS:
            patients.setdefault(made.patient_id or made.key.study_uid, made.key.study_uid)
        first = {study: study for study in patients.values()}
        assert all(row.patient_counts is not None for row in result.rows)
        return [(first[_first_study_of(row.model(), row.patient_id)],) for row in result.rows]
    return [tuple(uid for uid in row.key if uid) for row in result.rows]


def _first_study_of(model: JsonModel, patient_id: str) -> str:
    """The patient's first study: patients are told apart by their whole identity in these tests."""
    identity = (model["00100020"], model["00100010"])
    for made in RECORDS:
        if (made.patient["00100020"], made.patient["00100010"]) == identity:
            return made.key.study_uid
    raise AssertionError(f"no patient {patient_id!r}")


def pattern(values: list[str]) -> st.SearchStrategy[str]:
    """Values as they are, cut, with wildcards put in, in another case."""
    whole = st.sampled_from([value for value in values if value])

    def wild(value: str, start: int, end: int, sign: str) -> str:
        start, end = sorted((start % (len(value) + 1), end % (len(value) + 1)))
        return value[:start] + sign + value[end:]

    return st.one_of(
        whole,
        whole.map(str.lower),
        whole.map(str.swapcase),
        st.builds(wild, whole, st.integers(0, 9), st.integers(0, 9), st.sampled_from(["*", "?", "*?"])),
        st.sampled_from(["*", "%", "_", "?*", "nothing", '""']),
    )


texts = [name if isinstance(name, str) else name["Alphabetic"] for name in NAMES] + [
    "山田^太郎",
    "jane doe",
    "jan smith",
]
dates = st.one_of(
    st.sampled_from(["20240101", "2024.01.01", "20240101-", "-20240101", "20230601-20240101", "*", '""']),
)
times = st.sampled_from(["101500", "10", "10-11", "-1200", "235959-", '""'])
keys_of_studies: dict[str, st.SearchStrategy[Any]] = {
    "00100010": pattern(texts).map(lambda v: element("PN", v)),
    "00100020": pattern(PATIENT_IDS).map(lambda v: element("LO", v)),
    "00080050": pattern(ACCESSIONS).map(lambda v: element("SH", v)),
    "00081030": pattern(DESCRIPTIONS).map(lambda v: element("LO", v)),
    "00080090": pattern(texts).map(lambda v: element("PN", v)),
    "00080020": dates.map(lambda v: element("DA", v)),
    "00080030": times.map(lambda v: element("TM", v)),
    "00080061": pattern(["CT", "MR", "SR", "CT\\SR"]).map(lambda v: element("CS", v)),
    "0020000D": st.lists(st.sampled_from([f"1.{i}" for i in range(70)]), min_size=1, max_size=4).map(
        lambda v: element("UI", *v)
    ),
    "00201208": st.integers(1, 5).map(lambda v: element("IS", v)),
    "00081032": st.integers(0, 5).map(lambda v: element("SQ", {"00080100": element("SH", f"C{v}")})),
    "00080062": st.sampled_from(["1.2.840.10008.5.1.4.1.1.2", "1.2"]).map(lambda v: element("UI", v)),
    "00180060": st.integers(80, 83).map(lambda v: element("DS", v)),
}
keys_of_series: dict[str, st.SearchStrategy[Any]] = {
    "00080060": pattern(["CT", "MR", "SR"]).map(lambda v: element("CS", v)),
    "00200011": st.integers(0, 3).map(lambda v: element("IS", v)),
    "0008103E": pattern(["series 0", "series 1"]).map(lambda v: element("LO", v)),
    "00201209": st.integers(1, 3).map(lambda v: element("IS", v)),
    "0020000E": st.sampled_from(["1.1.0", "1.2.1", "1.2.1\\1.4.0"]).map(lambda v: element("UI", v)),
}
keys_of_instances: dict[str, st.SearchStrategy[Any]] = {
    "00200013": st.integers(0, 3).map(lambda v: element("IS", v)),
    "00080018": st.sampled_from(["1.1.0.0", "1.2.1.0"]).map(lambda v: element("UI", v)),
    "00080016": st.sampled_from(["1.2.840.10008.5.1.4.1.1.2", "1.2"]).map(lambda v: element("UI", v)),
}
KEYS = {
    Level.STUDY: keys_of_studies,
    Level.SERIES: keys_of_studies | keys_of_series,
    Level.IMAGE: keys_of_studies | keys_of_series | keys_of_instances,
}


@st.composite
def queries(draw: st.DrawFn) -> Query:
    level = draw(st.sampled_from([Level.STUDY, Level.STUDY, Level.SERIES, Level.IMAGE]))
    names = draw(st.lists(st.sampled_from(sorted(KEYS[level])), max_size=3, unique=True))
    keys = {name: draw(KEYS[level][name]) for name in names}
    return Query(
        level,
        keys,
        fuzzy=draw(st.booleans()),
        empty_values=draw(st.booleans()),
        combined_date_time=draw(st.booleans()),
        want_total=draw(st.booleans()),
        order=draw(st.sampled_from(OrderBy)),
    )


@examples(150)
@given(query=queries(), limit=st.integers(7, 40))
def test_a_query_finds_what_matching_finds_and_pages_without_gaps(
    oddities: SqlIndex, query: Query, limit: int
) -> None:
    options = MatchingOptions(
        query.fuzzy, query.combined_date_time, query.empty_values, query.multiple_values
    )
    try:
        expected = ORACLE.find(query.level, query.keys, options)
    except QueryError:
        with pytest.raises(QueryError):
            oddities.find(query, header_of(RECORDS))
        return
    whole = oddities.find(query, header_of(RECORDS))
    found = uids_of(whole, query.level)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert not whole.more and not whole.truncated
    if query.want_total:
        assert whole.total == len(expected)
    paged: list[tuple[str, ...]] = []
    while True:
        page_query = Query(**{**_fields(query), "limit": limit, "offset": len(paged)})
        page = oddities.find(page_query, header_of(RECORDS))
        paged += uids_of(page, query.level)
        if not page.more:
            break
        assert len(page.rows) == limit
    assert paged == found


def _fields(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.__slots__}


@examples(80)
@given(
    keys=st.fixed_dictionaries(
        {},
        optional={
            "00100010": keys_of_studies["00100010"],
            "00100020": keys_of_studies["00100020"],
            "00201200": st.integers(1, 8).map(lambda v: element("IS", v)),
            "00080061": keys_of_studies["00080061"],
        },
    ),
    fuzzy=st.booleans(),
)
def test_patients_are_found_by_what_their_first_study_says(
    oddities: SqlIndex, keys: JsonModel, fuzzy: bool
) -> None:
    expected = ORACLE.find(Level.PATIENT, keys, MatchingOptions(fuzzy=fuzzy))
    whole = oddities.find(Query(Level.PATIENT, keys, fuzzy=fuzzy, want_total=True))
    assert len(whole.rows) == len(expected) == whole.total


# -- answers ----------------------------------------------------------------------------------------------


def test_a_row_answers_everything_known_at_its_level_and_above(oddities: SqlIndex) -> None:
    (row,) = oddities.find(Query(Level.IMAGE, {"00080018": element("UI", "1.1.1.0")})).rows
    made = next(made for made in RECORDS if made.key.sop_uid == "1.1.1.0")
    model = row.model()
    for attributes in (made.patient, made.study, made.series, made.instance):
        for tag, value in attributes.items():
            assert model[tag] == value
    assert list(model) == sorted(model)


def test_the_default_answer_of_each_level_is_ordered_and_complete(oddities: SqlIndex) -> None:
    import json

    (study,) = oddities.find(Query(Level.STUDY, {"0020000D": element("UI", "1.1")})).rows
    answer = json.loads(study.json("http://h/studies/1.1"))
    assert list(answer) == sorted(answer)
    assert answer["00081190"]["Value"] == ["http://h/studies/1.1"]
    assert answer["00201206"]["Value"] == [2]
    assert answer["00080061"]["Value"] == ["MR", "SR"]
    (series,) = oddities.find(Query(Level.SERIES, {"0020000E": element("UI", "1.1.0")})).rows
    answer = json.loads(series.json("http://h/x"))
    assert list(answer) == sorted(answer)
    assert answer["00201209"]["Value"] == [2]
    (instance,) = oddities.find(Query(Level.IMAGE, {"00080018": element("UI", "1.1.0.0")})).rows
    answer = json.loads(instance.json())
    assert list(answer) == sorted(answer)
    assert answer["00280010"]["Value"] == [512]


def test_attributes_asked_for_come_from_the_file_when_the_index_has_them_not(oddities: SqlIndex) -> None:
    query = Query(Level.IMAGE, {"0020000D": element("UI", "1.1")}, wanted=(0x00180060,))
    rows = oddities.find(query, header_of(RECORDS)).rows
    assert all(row.model()["00180060"]["Value"][0] in (80, 81, 82) for row in rows)
    assert all("00180060" not in row.model() for row in oddities.find(query).rows)


def test_an_empty_key_asks_for_an_attribute_of_the_file(oddities: SqlIndex) -> None:
    query = Query(Level.STUDY, {"0020000D": element("UI", "1.1"), "00180060": element("DS")})
    (row,) = oddities.find(query, header_of(RECORDS)).rows
    assert "00180060" in row.model()


def test_no_file_is_opened_for_what_the_archive_itself_answers(oddities: SqlIndex) -> None:
    def header(location: Location) -> JsonModel:
        raise AssertionError(f"opened {location.path}")

    keys = {
        tag: {"vr": vr}
        for tag, vr in {
            "00080005": "CS", "00080052": "CS", "00080054": "AE", "00080056": "CS", "00080061": "CS",
            "00081190": "UR", "00100010": "PN", "00201208": "IS", "00201200": "IS",
        }.items()
    }  # fmt: skip
    rows = oddities.find(Query(Level.STUDY, keys, limit=3), header).rows
    assert len(rows) == 3
    assert all(row.patient_counts is not None for row in rows)


def test_files_opened_for_one_query_are_limited(oddities: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_module, "MAX_HEADERS", 5)
    opened: list[str] = []

    def header(location: Location) -> JsonModel:
        opened.append(location.path)
        return header_of(RECORDS)(location)

    result = oddities.find(Query(Level.IMAGE, {"00180060": element("DS", 81)}, want_total=True), header)
    assert result.truncated
    assert result.total is None
    assert len(opened) == 5


def test_rows_looked_at_are_limited(oddities: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_module, "MAX_EXAMINED", 10)
    result = oddities.find(Query(Level.IMAGE, {"0008103E": element("LO", "series 2")}, want_total=True))
    assert result.truncated and result.total is None


# -- order ------------------------------------------------------------------------------------------------


def test_studies_come_newest_first_and_every_order_has_its_reverse(oddities: SqlIndex) -> None:
    def column(order: OrderBy, tag: str) -> list[str]:
        rows = oddities.find(Query(Level.STUDY, order=order)).rows
        return [str(row.model()[tag].get("Value", [""])[0]) for row in rows]

    dates = [date for date in column(OrderBy.NEWEST, "00080020") if date.isdigit() and date != "99999999"]
    assert dates == sorted(dates, reverse=True)
    ids = column(OrderBy.PATIENT_ID, "00100020")
    assert column(OrderBy.PATIENT_ID_DESCENDING, "00100020") == ids[::-1]
    accessions = column(OrderBy.ACCESSION, "00080050")
    assert accessions == sorted(accessions)
    newest = [row.study_uid for row in oddities.find(Query(Level.STUDY)).rows]
    oldest = [row.study_uid for row in oddities.find(Query(Level.STUDY, order=OrderBy.OLDEST)).rows]
    assert oldest == newest[::-1]
    received = [row.study_uid for row in oddities.find(Query(Level.STUDY, order=OrderBy.RECEIVED)).rows]
    assert received == [f"1.{i}" for i in reversed(range(60))]


# -- typing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["doe"], {"1.0", "1.1", "1.6"}),
        (["JAN", "do"], {"1.0"}),
        (["muller"], {"1.2"}),
        (["müll"], {"1.2"}),
        (["山田"], {"1.8"}),
        (["o'br"], {"1.4"}),
        (["%1234"], {"1.2"}),
        (["'; drop"], {"1.7"}),
        (["doe^jane"], {"1.0"}),
        (["2023-12"], {"1.2"}),
        (["20231231"], {"1.2"}),
        (["2024", "chest"], {"1.0", "1.1"}),
        (["31.12.2023"], {"1.2"}),
        (["12/31/2023"], {"1.2"}),
        (["12.2023"], {"1.2"}),
        ([""], {f"1.{i}" for i in range(9)}),
        (["zebra"], set()),
    ],
)
def test_a_person_typing_finds_studies_by_the_beginning_of_words(
    oddities: SqlIndex, typed: list[str], found: set[str]
) -> None:
    result = oddities.search_text(TextQuery(typed, limit=100, want_total=True))
    first_nine = {row.study_uid for row in result.rows if int(row.study_uid[2:]) < 9}
    assert first_nine == found
    assert result.total == len(result.rows)


@pytest.mark.parametrize(
    ("typed", "beginnings"),
    [
        ("2026", ["2026"]),
        ("2026-03", ["202603"]),
        ("2026-3", ["202603"]),
        ("2026-03-", ["202603"]),
        ("202603", ["202603"]),
        ("2026.03.12", ["20260312"]),
        ("20260312", ["20260312"]),
        ("12.03.2026", ["20260312"]),
        ("1.3.2026", ["20260301"]),
        ("3.2026", ["202603"]),
        ("03/12/2026", ["20261203", "20260312"]),
        ("3/25/2026", ["20260325"]),
        ("4/4/2026", ["20260404"]),
        ("31.02.2026", []),
        ("2026-13", []),
        ("25.13.2026", []),
        ("0000", []),
        ("12345", []),
        ("٢٠٢٦", []),
        ("1.2.840", []),
        ("smith", []),
    ],
)
def test_a_typed_date_is_read_as_it_is_written(typed: str, beginnings: list[str]) -> None:
    assert date_beginnings(typed) == beginnings


def test_a_typed_word_may_be_a_modality(oddities: SqlIndex) -> None:
    everything = oddities.search_text(TextQuery([], limit=100)).rows
    with_mr = {
        row.study_uid for row in everything if row.study_counts and "MR" in row.study_counts.modalities
    }
    found = oddities.search_text(TextQuery(["mr"], limit=100, want_total=True))
    assert with_mr and {row.study_uid for row in found.rows} == with_mr
    in_2023 = oddities.search_text(TextQuery(["Mr", "2023"], limit=100)).rows
    assert {row.study_uid for row in in_2023} < with_mr


def test_typing_is_narrowed_by_modality_and_dates(oddities: SqlIndex) -> None:
    everything = oddities.search_text(TextQuery([], limit=100)).rows
    modality = oddities.search_text(
        TextQuery([], limit=100, modality="MR", date_from="20230101", date_to="20231231")
    ).rows
    expected = [
        row.study_uid
        for row in everything
        if row.study_counts
        and "MR" in row.study_counts.modalities
        and "20230101" <= str(row.model()["00080020"].get("Value", [""])[0]) <= "20231231"
    ]
    assert [row.study_uid for row in modality] == expected != []


# -- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patient_id", ["1234", "_1234", "%1234", "'; DROP TABLE studies;--"])
def test_b34_signs_of_sql_are_matched_literally(oddities: SqlIndex, patient_id: str) -> None:
    rows = oddities.find(Query(Level.STUDY, {"00100020": element("LO", patient_id)})).rows
    assert rows and {row.patient_id for row in rows} == {patient_id}
    wild = oddities.find(Query(Level.STUDY, {"00100020": element("LO", patient_id + "*")})).rows
    assert {row.patient_id for row in wild} == {patient_id}


def test_b70_a_negative_page_is_refused_and_a_huge_one_is_cut(oddities: SqlIndex) -> None:
    for query in (Query(Level.STUDY, limit=-1), Query(Level.STUDY, offset=-1)):
        with pytest.raises(QueryError):
            oddities.find(query)
    assert oddities.find(Query(Level.STUDY, limit=10**9)).rows
    far = oddities.find(Query(Level.STUDY, offset=10**12, want_total=True))
    assert (far.rows, far.total, far.more) == ([], 60, False)
    assert oddities.find(Query(Level.STUDY, offset=10**30)).rows == []
    assert oddities.find(Query(Level.STUDY, limit=0, want_total=True)).total == 60
    assert MAX_RESULTS == 10_000


@pytest.mark.parametrize(
    "key",
    [
        ("00100010", "PN", "*" * 64 + "a"),
        ("00100020", "LO", "*" * 20),
        ("00080020", "DA", "-"),
        ("00080020", "DA", "99999999"),
        ("00080020", "DA", "20240101-20230101"),
        ("0020000D", "UI", "\\".join(f"1.{i}" for i in range(100_000))),
    ],
)
def test_b71_keys_that_cannot_be_answered_are_refused(oddities: SqlIndex, key: tuple[str, str, str]) -> None:
    tag, vr, value = key
    with pytest.raises(QueryError):
        oddities.find(Query(Level.STUDY, {tag: {"vr": vr, "Value": [value]}}))


def test_b71_ten_thousand_uids_are_answered(oddities: SqlIndex) -> None:
    uids = "\\".join(f"1.{i}" for i in range(10_000))
    result = oddities.find(Query(Level.STUDY, {"0020000D": element("UI", uids)}, want_total=True))
    assert result.total == 60


def test_half_a_character_in_a_key_is_refused(oddities: SqlIndex) -> None:
    for tag in ("00100020", "00080050"):
        with pytest.raises(QueryError):
            oddities.find(Query(Level.STUDY, {tag: element("LO", "\ud800")}))
    with pytest.raises(QueryError):
        oddities.search_text(TextQuery(["\ud800"], limit=1))


def test_a_text_with_nul_is_stored_and_found(database: Database) -> None:
    index = SqlIndex(database)
    index.apply([AddVersion(record(patient={"00100020": element("LO", "A\0B")}, accession="x\0"), 1)])
    assert len(index.find(Query(Level.STUDY, {"00100020": element("LO", "A\0B")})).rows) == 1
    assert len(index.find(Query(Level.STUDY, {"00100020": element("LO", "A*")})).rows) == 1
    assert index.find(Query(Level.STUDY, {"00100020": element("LO", "A")})).rows == []
    assert index.check() == []
    index.close()


def test_deleted_studies_do_not_come_back_as_irregular(database: Database) -> None:
    index = SqlIndex(database)
    index.apply([AddVersion(record("1.1", "1", "1"), 1), AddVersion(record("1.2", "2", "2", tick=1), 1)])
    index.apply([AddTombstone(InstanceKey("1.2", "2", "2"), 2, at(2))])
    for keys in ({"00100020": element("LO", "P1")}, {"00100010": element("PN", "doe*")}, {}):
        result = index.find(Query(Level.STUDY, keys, want_total=True))
        assert ([row.study_uid for row in result.rows], result.total) == (["1.1"], 1)
    index.close()


def test_text_that_is_longer_than_any_may_be_is_stored_and_found(database: Database) -> None:
    long = "Ä語" * 500
    index = SqlIndex(database)
    strange = {"00100020": element("LO", long), "00100021": element("LO", f"{long}X")}
    odd = record("1.1", "1", "1", patient=strange, accession=long, name=long, modality=long)
    index.apply([AddVersion(odd, 1)])
    index.apply([AddVersion(record("1.2", "2", "2", tick=1, name=long[:-1], accession="A"), 1)])
    for keys in ({"00100020": element("LO", long)}, {"00100010": element("PN", long)}):
        assert [row.study_uid for row in index.find(Query(Level.STUDY, keys)).rows] == ["1.1"]
    found = index.find(Query(Level.STUDY, {"00080050": element("SH", f"{long[:50]}*")}, want_total=True))
    assert [row.study_uid for row in found.rows] == ["1.1"]
    assert index.check() == []
    index.close()
