"""Names that people cannot tell apart are one person's, or are refused."""

from __future__ import annotations

import pytest

from runner.core.approval.person_names import check_name, find_alike, look, person
from runner.core.approval.wire import Malformed


@pytest.mark.parametrize(
    "spelling",
    ["ALICE", "alice ", " alice", "alice\N{NO-BREAK SPACE}", "\uff41\uff4c\uff49\uff43\uff45"],
    ids=["case", "trailing", "leading", "no-break", "full-width"],
)
def test_spellings_of_a_name_are_one_person(spelling: str):
    assert person(spelling) == "alice"


def test_composed_and_decomposed_letters_are_one_person():
    assert person("zo\u00eb  van X") == person("zoe\u0308 van x") == "zo\u00eb van x"


@pytest.mark.parametrize(
    "unseen",
    ["\u200b", "\u00ad", "\u202e", "\x07", "\ue000", "\u0378", "\u3164", "\ufe0f", "\u2028"],
    ids=ascii,
)
def test_what_nobody_sees_is_refused(unseen: str):
    with pytest.raises(Malformed, match=rf"U\+{ord(unseen):04X}; write the name anew"):
        check_name(f"al{unseen}ice")


@pytest.mark.parametrize(
    "name", ["\u0430lice@example.net", "alice@ex\u0430mple.net", "\u03bfmar", "\U00017000a"]
)
def test_letters_of_several_scripts_are_refused(name: str):
    with pytest.raises(Malformed, match=r"mixes letters of .* and "):
        check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "alice@example.net",
        "zoe\u0308",
        "\u0438\u0432\u0430\u043d@example.net",
        "\u5c71\u7530\u306e\u30bf\u30ed\u30fc\u3005 taro",
        "\ud64d\uae38\ub3d9",
        "o'neil-2",
    ],
)
def test_names_of_one_script_are_accepted(name: str):
    check_name(name)


def test_names_that_look_alike_are_found():
    copa, latin = "\u0441\u043e\u0440\u0430", "copa"
    assert look(copa) == look(latin)
    assert find_alike(copa, ["bob", latin]) == latin
    assert find_alike("a1ice", ["alice"]) == "alice"
    assert find_alike("aIice", ["alice"]) == "alice"
    assert find_alike("ALICE", ["alice"]) is None
    assert find_alike("bob", ["alice"]) is None
