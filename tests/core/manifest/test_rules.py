from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.diagnostics.codes import CODES
from runner.core.manifest.media import Audio, MediaMatrix, Video
from runner.core.manifest.model import GatewayConstraints
from runner.core.manifest.rules import (
    are_plain_ids,
    check_constraints,
    check_destination,
    check_id,
    check_plausible,
    check_statuses,
    fixed_figures,
)

GATEWAY = GatewayConstraints("edge", 1264, ("Opus", "vp8"), 30, "1280x720")
SOUND = Audio("opus", 64, 16)


def codes(matrix: MediaMatrix) -> list[str]:
    return [finding.code for finding in check_constraints(matrix, GATEWAY)]


def test_what_lies_exactly_on_every_limit_passes():
    assert codes(MediaMatrix(SOUND, Video("VP8", 1200, "1280x720", 30))) == []


@pytest.mark.parametrize(
    ("video", "code"),
    [
        (Video("vp8", 1200.5, "1280x720", 30), "R002"),
        (Video("h264", 1200, "1280x720", 30), "R003"),
        (Video("vp8", 1200, "1280x720", 30.5), "R004"),
        (Video("vp8", 1200, "1281x720", 30), "R004"),
        (Video("vp8", 1200, "720x721", 30), "R004"),
    ],
)
def test_what_lies_beyond_a_limit_is_found(video: Video, code: str):
    assert codes(MediaMatrix(SOUND, video)) == [code]


def test_everything_wrong_is_found_at_once():
    assert codes(MediaMatrix(Audio("g729", 8, 8), Video("av1", 9000, "1920x1080", 60))) == [
        "R002",
        "R003",
        "R003",
        "R004",
        "R004",
    ]


@pytest.mark.parametrize(
    ("audio", "parts"),
    [
        (Audio("pcmu", 64, 8), []),
        (Audio("PCMA", 63, 16), ["bandwidth_kbps", "bit_depth"]),
        (Audio("g722", 64, 14), []),
        (Audio("g729", 8.1, 8), ["bandwidth_kbps"]),
        (Audio("opus", 6, 16), []),
        (Audio("opus", 510, 24), []),
        (Audio("opus", 5.9, 16), ["bandwidth_kbps"]),
        (Audio("speex", 1, 1), []),
    ],
)
def test_figures_that_a_codec_cannot_have_are_warned_of(audio: Audio, parts: list[str]):
    assert [f.part[-1] for f in check_plausible(MediaMatrix(audio))] == parts


@pytest.mark.parametrize(
    "uri",
    [
        "genesys://queue/billing-new",
        "genesys://user/agent-id-98765",
        "genesys://queue/3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "genesys://queue/a%20b",
        "sip:desk@example.net",
        "sip:example.net",
        "sip:sip:5060",
        "sip:sip@example.net",
        "sip:desk@a-b.example.net:65535",
        "sip:desk@192.0.2.7:05060",
        "genesys://queue/...",
        "sip:+15551000@[2001:db8::1]:5060;transport=tls?subject=x",
        "tel:+441234567890",
        "tel:+44(0)123-456.78;ext=12",
    ],
)
def test_a_well_formed_destination_passes(uri: str):
    assert check_destination(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        *(f"sip:alice@h:{port}" for port in ("0", "00000", "65536", "99999", "100000")),
        *(f"sip:{host}" for host in ("a@b..c", "a@.b", "b.", "a@b-.c", "a@-b", "a" * 64)),
        "sip:a@" + ".".join(["label"] * 50),
        *(f"genesys://queue/{name}" for name in (".", "..", "%2e", "%2E.")),
        *(f"tel:{number}" for number in ("+0", "+(0)44", "+1234567890123456")),
        *(f"sip:{scheme}:desk@example.net" for scheme in ("sip", "SIPS", "tel", "genesys")),
    ],
)
@pytest.mark.parametrize("names", [False, True])
def test_a_destination_that_leads_nowhere_is_refused(uri: str, *, names: bool):
    finding = check_destination(uri, names=names)
    assert finding is not None
    assert finding.code == "R006"


@given(st.text(max_size=30))
def test_no_destination_holds_anything_but_visible_ascii(text: str):
    for uri in (text, f"genesys://queue/{text}", f"sip:{text}@example.net", f"tel:+1{text}"):
        if check_destination(uri) is None:
            assert uri.isascii()
            assert uri.isprintable()
            assert " " not in uri


@given(st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1))
def test_no_id_holds_control_bidirectional_or_surrogate_characters(text: str):
    assert check_id(f"a{text}b", "key") is not None


@pytest.mark.parametrize("text", ["a", "call 1", "Zürich-7", "電話", "a/b", "😀"])
def test_an_id_may_hold_whatever_can_be_seen(text: str):
    assert check_id(text, "interaction_id") is None


def test_a_hostile_destination_is_refused_in_no_time():
    assert check_destination("sip:" + "a" * 100_000 + "@") is not None
    assert check_destination("sip:a@" + "a." * 100_000) is not None
    assert check_destination("tel:+" + "(" * 100_000) is not None


def test_every_code_has_one_line_of_meaning():
    assert all(meaning and "\n" not in meaning for meaning in CODES.values())


def fixes(matrix: MediaMatrix, gateway: GatewayConstraints) -> list[tuple[str, str]]:
    return [(f.message, f.help) for f in check_constraints(matrix, gateway)]


def test_sound_alone_and_a_gateway_without_a_largest_picture_pass():
    anything = replace(GATEWAY, max_resolution=None, supported_codecs=())
    assert list(check_constraints(MediaMatrix(SOUND), GATEWAY)) == []
    assert (
        list(check_constraints(MediaMatrix(SOUND, Video("x", 9, "9999x9999", 1)), anything)) == []
    )


def test_what_exceeds_the_total_could_never_be_sent():
    gateway = replace(GATEWAY, total_bandwidth_kbps=60.5)
    (finding,) = check_constraints(MediaMatrix(SOUND), gateway)
    assert (finding.code, finding.limit) == ("R002", "total_bandwidth_kbps")
    assert finding.message == (
        "64 kbit/s exceeds the 60.5 kbit/s that gateway `edge` carries in total, "
        "so it could never be sent"
    )
    assert finding.help.startswith("write `bandwidth_kbps: 60.5` or less, or raise `total")


def test_a_fix_names_no_figure_that_a_codec_cannot_have():
    narrow = replace(GATEWAY, supported_codecs=("pcmu",), max_bandwidth_kbps=10)
    ((_, other_codec),) = fixes(MediaMatrix(Audio("pcmu", 64, 8)), narrow)
    assert other_codec.startswith("use another codec than pcmu, which needs 64 kbit/s, or raise")
    both = MediaMatrix(Audio("pcmu", 64, 8), Video("pcmu", 1, "1x1", 1))
    assert fixes(both, narrow)[0] == (
        "audio 64 + video 1 = 65 kbit/s exceeds the 10 kbit/s of gateway `edge`",
        "lower the audio bandwidth, or raise `max_bandwidth_kbps` if `edge` can carry more",
    )


@pytest.mark.parametrize(
    ("supported", "fix"),
    [
        (("vp8",), "add `g729` to `supported_codecs` if `edge` carries it"),
        (("opus",), "use opus, or add `g729`"),
        (("opus", "pcmu", "pcma"), "use opus, pcmu or pcma, or add `g729`"),
    ],
)
def test_a_fix_offers_the_codecs_of_that_half_alone(supported: tuple[str, ...], fix: str):
    gateway = replace(GATEWAY, supported_codecs=supported)
    ((_, help_),) = fixes(MediaMatrix(Audio("g729", 8, 16)), gateway)
    assert help_.startswith(fix)


@pytest.mark.parametrize(
    ("codec", "figures"),
    [
        ("PCMU", {"bandwidth_kbps": 64, "bit_depth": 8}),
        ("g722", {"bandwidth_kbps": 64}),
        ("opus", {}),
        ("speex", {}),
    ],
)
def test_a_codec_fixes_those_figures_that_have_one_value(codec: str, figures: dict[str, float]):
    assert fixed_figures(codec) == figures


def test_a_gateways_statuses_contradict_neither_the_protocol_nor_each_other():
    found = list(
        check_statuses(
            ["on_its_way", "transfer_rejected", "transfer_initiated"],
            ["no_agents", "on_its_way", "codec_negotiated", "codec_unsupported"],
        )
    )
    assert {finding.code for finding in found} == {"S010"}
    assert [(f.part, f.message) for f in found] == [
        (("carried_out", 1), '`transfer_rejected` always means "not carried out"'),
        (("not_carried_out", 1), "`on_its_way` is in both lists"),
        (("not_carried_out", 2), '`codec_negotiated` always means "carried out"'),
    ]
    assert found[1].other == ("carried_out", 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`key` is empty"),
        (" \t", "`key` is empty"),
        ("..", "`key` is `..`, which cannot be part of an address"),
        ("k ", "`key` ends with a space"),
        ("\u3000k", "`key` begins with U+3000, ideographic space"),
        ("k\n", "`key` contains U+000A, a line break"),
        ("a\u3000b", None),
    ],
)
def test_what_is_wrong_with_a_key_is_named(text: str, message: str | None):
    finding = check_id(text, "key")
    assert (finding and finding.message) == message


@pytest.mark.parametrize(
    ("uri", "message", "names"),
    [
        (" ", "`destination_uri` is empty", False),
        ("sip:a@h ", "`destination_uri` ends with a space", False),
        ("genesys://queue/a b", "`genesys://queue/a b` is not a valid destination", False),
        ("genesys://queue/a b", None, True),
        ("sip:sip:a@h", "`sip:sip:a@h` has a scheme twice", False),
        ("mailto:" + "a" * 90, "`mailto:" + "a" * 72 + "…` is not a valid destination", True),
    ],
)
def test_what_is_wrong_with_a_destination_is_named(uri: str, message: str | None, *, names: bool):
    finding = check_destination(uri, names=names)
    assert (finding and finding.message) == message


@given(st.lists(st.text(st.sampled_from("ab.- \n\u00e4\u202e~"), max_size=4), max_size=5))
def test_ids_that_look_plain_together_are_valid_one_by_one(texts: list[str]):
    if are_plain_ids(texts):
        assert all(check_id(text, "key") is None for text in texts)


def test_ids_as_they_mostly_are_look_plain():
    assert are_plain_ids(["3f2504e0-4f89-41d3-9a0c-0305e82c3301", "vip_17", "..."])
    assert not are_plain_ids(["a", ".."])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("genesys://queue/Müller", "write `genesys://queue/M%C3%BCller`"),
        ("genesys://user/Jo Doe", "write `genesys://user/Jo%20Doe`"),
        ("genesys://queue/a/b ü", "write genesys://queue/ID or"),
        ("genesys://queue/a\u00a0b", "write genesys://queue/ID or"),
        ("genesys://queue/100%", "write genesys://queue/ID or"),
        ("4,41235E+11", "a spreadsheet has shortened this number"),
        ("tel:4.41235E+11", "a spreadsheet has shortened this number"),
        ("+44 (1234) 567-890", "write `tel:+441234567890`"),
        ("tel:+44 1234 567890", "write `tel:+441234567890`"),
        ("'tel:+441234567890", "write `tel:+441234567890`"),
        ("“genesys://queue/a”", "write `genesys://queue/a`"),
        ("441234567890", "write genesys://queue/ID, "),
    ],
)
def test_what_a_destination_was_meant_to_be_is_offered(written: str, meant: str):
    finding = check_destination(written)
    assert finding is not None
    assert finding.help.startswith(meant)
