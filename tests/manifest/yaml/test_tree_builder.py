"""The hazards of YAML, and that positions and values are what a reader of the file expects."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yaml import safe_dump

from runner.manifest.problem_collector import Collector
from runner.manifest.yaml.pure_parser import PureParser
from runner.manifest.yaml.source import MAX_BYTES, read_source
from runner.manifest.yaml.tree import Source, Tree
from runner.manifest.yaml.tree_builder import build
from tests.manifest.libyaml import needs_libyaml


def read(text: str) -> tuple[Tree | None, list[str]]:
    problems = Collector()
    tree = build(Source("m.yaml", text, ""), problems)
    return tree, [problem.code for problem in problems.sorted("m.yaml")]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc é:#-", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), values, min_size=1))
def test_what_another_program_wrote_is_read_back(document: dict[str, object]):
    tree, codes = read(safe_dump(document, allow_unicode=True))
    assert codes == []
    assert tree is not None
    assert tree.root == document


def test_every_key_and_value_has_its_place():
    tree, _ = read('é: {b: [1, "two"]}\nc: d\n')
    assert tree is not None
    inner = tree.root["é"]
    places = [tree.key(inner, "b"), tree.value(inner["b"], 1), tree.value(tree.root, "c")]
    assert [(p.line, p.column, p.end_column) for p in places] == [(1, 5, 6), (1, 12, 17), (2, 4, 5)]


def test_a_place_behind_an_alias_is_where_the_value_is_written():
    tree, _ = read("a: &x {k: v}\nb: *x\nc:\n  <<: *x\n  z: 1\n")
    assert tree is not None
    assert tree.root["c"] == {"z": 1, "k": "v"}
    assert str(tree.value(tree.root["c"], "k")) == "m.yaml:1:11"
    assert str(tree.key(tree.root["c"], "z")) == "m.yaml:5:3"


def test_keys_of_a_mapping_win_over_merged_ones_and_the_first_merged_wins():
    tree, codes = read("a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\n")
    assert codes == []
    assert tree is not None
    assert tree.root["c"] == {"y": 3, "x": 1, "z": 2}


def test_depth_counts_what_aliases_bring():
    deep = "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20 + "\n"
    assert read(deep)[1] == ["Y009"]
    assert read("a: " + "[" * 31 + "]" * 31)[1] == []


def test_aliases_may_bring_ten_thousand_nodes_and_no_more():
    ten = "a: &a [" + ",".join("x" * 9) + "]\n"  # ten nodes: the list and its items
    assert read(ten + "b: [" + ",".join(["*a"] * 1000) + "]\n")[1] == []
    assert read(ten + "b: [" + ",".join(["*a"] * 1001) + "]\n")[1] == ["Y010"]


def test_a_scalar_with_a_core_tag_has_that_type():
    tree, codes = read("a: !!str 5\nb: !!int 5\nc: !!float 1\nd: ! 7\ne: !!seq [1]\n")
    assert codes == []
    assert tree is not None
    assert tree.root == {"a": "5", "b": 5, "c": 1, "d": "7", "e": [1]}


def test_collection_of_garbage_goes_on_afterwards():
    gc.enable()
    read("a: [")
    assert gc.isenabled()


def test_the_pure_parser_gives_the_same_events():
    text = Path("tests/manifests/valid/complete.yaml").read_text(encoding="utf-8")
    ours, _ = read(text)
    pure = build(Source("m.yaml", text, ""), Collector(), PureParser)
    assert ours is not None
    assert pure is not None
    assert (pure.root, pure.marks.flat) == (ours.root, ours.marks.flat)


@pytest.mark.parametrize("parser", [None, PureParser])
def test_half_a_character_is_refused(parser: type[PureParser] | None):
    problems = Collector()
    build(Source("m.yaml", 'a: "\\ud800"\n', ""), problems, parser)
    assert [problem.code for problem in problems.sorted("m.yaml")] in (["Y004"], ["Y005"])


def test_a_manifest_over_the_limit_is_refused_unread(tmp_path: Path):
    path = tmp_path / "m.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    problems = Collector()
    assert read_source(path, problems) is None
    assert [(p.code, "from:" in p.help) for p in problems.sorted("")] == [("Y002", True)]


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_manifest_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str):
    problems = Collector()
    assert read_source(tmp_path / name, problems) is None
    assert [p.code for p in problems.sorted("")] == ["Y001"]


@needs_libyaml
@pytest.mark.parametrize("written", [r"a\ud800b", r"a\ud83d\ude00"])
def test_half_of_a_pair_is_told_from_a_character_by_its_place(written: str):
    assert_no_character(written, None)


@pytest.mark.parametrize("parser", [None, PureParser])
@pytest.mark.parametrize("written", [r"\U00110000", r"a\UFFFFFFFFb"])
def test_an_escape_that_is_not_a_character_is_reported_in_plain_words(
    written: str, parser: type[PureParser] | None
):
    assert_no_character(written, parser)


def assert_no_character(written: str, parser: type[PureParser] | None) -> None:
    problems = Collector()
    assert build(Source("m.yaml", f'a: "{written}"\n', ""), problems, parser) is None
    (problem,) = problems.sorted("m.yaml")
    assert (problem.code, problem.place.line) == ("Y005", 1)
    assert "this escape is not a character" in problem.message
    assert "\\U0001F600" in problem.help
