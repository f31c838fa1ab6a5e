"""Whatever is done to a manifest's text, loading ends with values or with problems."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.manifest.rendering import load_rows

WHOLE = Path("tests/manifests/valid/complete.yaml").read_text(encoding="utf-8")
ROWS = 'interaction_id,media,"x"\na,hd-voice,1\n"b",video,"2"\n'
BITS = [
    "",
    " ",
    "\n",
    "\t",
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "&a ",
    "*a",
    "<<: ",
    "!!x ",
    "#",
]
BITS += ["null", "5", ".nan", "true", "\u202e", "---\n", "?", "|", "%", "@", "{a: b}", "[x]"]

positions = st.integers(0, len(WHOLE))
mutations = st.lists(
    st.tuples(positions, st.integers(0, 30), st.sampled_from(BITS)), min_size=1, max_size=4
)


def mutated(text: str, changes: list[tuple[int, int, str]]) -> str:
    for position, length, bit in changes:
        text = text[:position] + bit + text[position + length :]
    return text


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mutations)
def test_a_mutated_manifest_never_raises(tmp_path: Path, changes: list[tuple[int, int, str]]):
    path = tmp_path / "m.yaml"
    path.write_text(mutated(WHOLE, changes), encoding="utf-8")
    loaded, _ = load_rows(path)
    assert loaded.manifest is not None or loaded.problems
    for problem in loaded.problems:
        assert problem.message
        assert problem.help
        assert problem.place.column >= 1


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 5), st.sampled_from([*BITS, ",", "\r"])),
        max_size=3,
    )
)
def test_a_mutated_csv_file_never_raises(tmp_path: Path, changes: list[tuple[int, int, str]]):
    head = WHOLE.split("transfers:")[0]
    (tmp_path / "r.csv").write_text(mutated(ROWS, changes), encoding="utf-8", newline="")
    path = tmp_path / "m.yaml"
    path.write_text(
        head + "transfers: [{from: r.csv, destination_uri: 'tel:+1'}]", encoding="utf-8"
    )
    loaded, _ = load_rows(path)
    assert loaded.manifest is not None or loaded.problems


VALUES = ["5", "x", "[a]", "{a: b}", "", "null", "true", '"\\\\0"', "[]", "{}", "1.5", "http://a@b"]
lines = st.integers(0, WHOLE.count("\n") - 1)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(lines, st.sampled_from(VALUES)), min_size=1, max_size=3),
    st.sampled_from(["demo", "production"]),
)
def test_a_value_of_another_kind_never_raises(
    tmp_path: Path, changes: list[tuple[int, str]], environment: str
):
    written = WHOLE.split("\n")
    for line, value in changes:
        written[line] = f"{written[line].partition(':')[0]}: {value}"
    path = tmp_path / "m.yaml"
    path.write_text("\n".join(written), encoding="utf-8")
    loaded, _ = load_rows(path, environment)
    assert loaded.manifest is not None or loaded.problems


def test_no_expected_line_shows_a_secret_in_plain_text():
    for path in Path("tests/manifests/invalid").glob("*.expected"):
        assert "hunter" not in path.read_text(encoding="utf-8")
