"""Checks the rules that JSON Schema cannot express (manifest.md, "Rules").

A finding names the part of the value that is wrong; the loader finds its place in the file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote

from runner.core.diagnostics.problem import Severity
from runner.core.frozen import frozen
from runner.core.manifest.media import MediaMatrix, Video
from runner.core.manifest.model import GatewayConstraints
from runner.core.transfer.states import STATUSES, Event


@frozen
class Finding:
    """Result of a rule: `part` is the path from the checked value to the part at fault."""

    code: str
    message: str
    help: str
    part: tuple[str | int, ...] = ()
    severity: Severity = Severity.ERROR
    limit: str | None = None  # the gateway's field that is exceeded
    other: tuple[str | int, ...] | None = None  # the path to what it contradicts


def check_constraints(matrix: MediaMatrix, gateway: GatewayConstraints) -> Iterator[Finding]:
    """Yield where a matrix exceeds what the gateway supports (R002, R003, R004).

    A gateway without codecs has a faulty list: it refuses none.
    """
    if matrix.bandwidth_kbps > gateway.max_bandwidth_kbps:
        yield Finding(
            "R002",
            f"{_bandwidth(matrix)} exceeds the {_number(gateway.max_bandwidth_kbps)} kbit/s "
            f"of gateway `{gateway.name}`",
            _bandwidth_fix(matrix, gateway.max_bandwidth_kbps, "max_bandwidth_kbps", gateway),
            ("video" if matrix.video else "audio", "bandwidth_kbps"),
            limit="max_bandwidth_kbps",
        )
    total_kbps = gateway.total_bandwidth_kbps
    if total_kbps is not None and matrix.bandwidth_kbps > total_kbps:
        yield Finding(
            "R002",
            f"{_bandwidth(matrix)} exceeds the {_number(total_kbps)} kbit/s that gateway "
            f"`{gateway.name}` carries in total, so it could never be sent",
            _bandwidth_fix(matrix, total_kbps, "total_bandwidth_kbps", gateway),
            ("video" if matrix.video else "audio", "bandwidth_kbps"),
            limit="total_bandwidth_kbps",
        )
    supported = {codec.casefold() for codec in gateway.supported_codecs}
    for half, codec in _codecs(matrix):
        if supported and codec.casefold() not in supported:
            yield Finding(
                "R003",
                f"gateway `{gateway.name}` does not support the codec `{codec}`",
                _codec_fix(half, codec, gateway),
                (half, "codec"),
                limit="supported_codecs",
            )
    if matrix.video is not None:
        yield from _check_picture(matrix.video, gateway)


def _check_picture(video: Video, gateway: GatewayConstraints) -> Iterator[Finding]:
    if video.fps > gateway.max_fps:
        yield Finding(
            "R004",
            f"{_number(video.fps)} frames per second exceed the {_number(gateway.max_fps)} of gateway "
            f"`{gateway.name}`",
            f"write `fps: {_number(gateway.max_fps)}` or less",
            ("video", "fps"),
            limit="max_fps",
        )
    largest = gateway.max_resolution
    if largest is not None and _exceeds(video.resolution, largest):
        yield Finding(
            "R004",
            f"{video.resolution} exceeds the {largest} of gateway `{gateway.name}`",
            f"write `resolution: {largest}` or smaller",
            ("video", "resolution"),
            limit="max_resolution",
        )


def _exceeds(resolution: str, largest: str) -> bool:
    width, height = map(int, resolution.split("x"))
    max_width, max_height = map(int, largest.split("x"))
    return width > max_width or height > max_height


def _codecs(matrix: MediaMatrix) -> Iterator[tuple[str, str]]:
    yield "audio", matrix.audio.codec
    if matrix.video is not None:
        yield "video", matrix.video.codec


def _bandwidth_fix(
    matrix: MediaMatrix, most_kbps: float, field: str, gateway: GatewayConstraints
) -> str:
    left_kbps = most_kbps - (matrix.audio.bandwidth_kbps if matrix.video else 0)
    lower = f"write `bandwidth_kbps: {_number(left_kbps)}` or less"
    facts = _AUDIO_CODECS.get(matrix.audio.codec.casefold())
    if matrix.video is None and facts is not None and left_kbps < facts.lowest_kbps:
        lower = f"use another codec than {matrix.audio.codec}, which needs {_number(facts.lowest_kbps)} kbit/s"
    elif left_kbps <= 0:
        lower = "lower the audio bandwidth"
    return f"{lower}, or raise `{field}` if `{gateway.name}` can carry more"


def _codec_fix(half: str, codec: str, gateway: GatewayConstraints) -> str:
    others = _VIDEO_CODECS if half == "audio" else _AUDIO_CODECS.keys()
    fit = [known for known in gateway.supported_codecs if known.casefold() not in others]
    use = (
        f"use {' or '.join([', '.join(fit[:-1]), fit[-1]] if fit[1:] else fit)}, or " if fit else ""
    )
    return f"{use}add `{codec}` to `supported_codecs` if `{gateway.name}` carries it"


def _bandwidth(matrix: MediaMatrix) -> str:
    if matrix.video is None:
        return f"{_number(matrix.bandwidth_kbps)} kbit/s"
    audio, video = _number(matrix.audio.bandwidth_kbps), _number(matrix.video.bandwidth_kbps)
    return f"audio {audio} + video {video} = {_number(matrix.bandwidth_kbps)} kbit/s"


def _number(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


@frozen
class _CodecFacts:
    lowest_kbps: float
    highest_kbps: float
    bit_depth: int | None = None


_G711 = _CodecFacts(64, 64, bit_depth=8)
_AUDIO_CODECS = {
    "pcmu": _G711,
    "pcma": _G711,
    "g722": _CodecFacts(64, 64),
    "g729": _CodecFacts(8, 8),
    "opus": _CodecFacts(6, 510),
}
_VIDEO_CODECS = {"h263", "h264", "h265", "vp8", "vp9", "av1"}


def fixed_figures(codec: str) -> Mapping[str, float]:
    """Return the only possible `bandwidth_kbps` and `bit_depth` of a codec, if fixed."""
    facts = _AUDIO_CODECS.get(codec.casefold())
    if facts is None:
        return {}
    figures: dict[str, float] = {}
    if facts.lowest_kbps == facts.highest_kbps:
        figures["bandwidth_kbps"] = facts.lowest_kbps
    if facts.bit_depth is not None:
        figures["bit_depth"] = facts.bit_depth
    return figures


def check_plausible(matrix: MediaMatrix) -> Iterator[Finding]:
    """Yield warnings for audio figures that are impossible for the codec (R010)."""
    audio = matrix.audio
    facts = _AUDIO_CODECS.get(audio.codec.casefold())
    if facts is None:
        return
    low, high = facts.lowest_kbps, facts.highest_kbps
    if not low <= audio.bandwidth_kbps <= high:
        possible = f"write a `bandwidth_kbps` from {_number(low)} to {_number(high)}"
        if low == high:
            possible = f"write `bandwidth_kbps: {_number(low)}`"
        yield Finding(
            "R010",
            f"{audio.codec} cannot use {_number(audio.bandwidth_kbps)} kbit/s",
            possible,
            ("audio", "bandwidth_kbps"),
            Severity.WARNING,
        )
    if facts.bit_depth is not None and audio.bit_depth != facts.bit_depth:
        yield Finding(
            "R010",
            f"{audio.codec} cannot use {audio.bit_depth} bits per sample",
            f"write `bit_depth: {facts.bit_depth}`",
            ("audio", "bit_depth"),
            Severity.WARNING,
        )


def check_statuses(
    carried_out: Collection[str], not_carried_out: Collection[str]
) -> Iterator[Finding]:
    """Yield statuses of a gateway that contradict the protocol or each other (S010)."""
    for name, statuses in (("carried_out", carried_out), ("not_carried_out", not_carried_out)):
        for index, status in enumerate(statuses):
            fixed = STATUSES.get(status)
            meaning = "carried_out" if fixed is Event.ACCEPTED else "not_carried_out"
            if fixed is not None and meaning != name:
                message = f'`{status}` always means "{_spoken(meaning)}"'
                yield Finding("S010", message, "remove it from this list", (name, index))
            elif fixed is None and name == "not_carried_out" and status in carried_out:
                message = f"`{status}` is in both lists"
                fix = "keep it in one of them"
                other = ("carried_out", [*carried_out].index(status))
                yield Finding("S010", message, fix, (name, index), other=other)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


_DOTS = r"(?!(?:\.|%2[Ee]){1,2}\Z)"  # relative path segments: addresses would lead elsewhere
_SEGMENT = rf"{_DOTS}(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{{2}})+"
_USER = r"(?:[A-Za-z0-9._~!*'()&=+$,;?/-]|%[0-9A-Fa-f]{2})+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = rf"(?=[A-Za-z0-9.-]{{1,255}}(?:[:;?]|\Z)){_LABEL}(?:\.{_LABEL})*"
_HOST = rf"(?:{_NAME}|\[[0-9A-Fa-f:.]{{2,45}}\])"
_PORT = (
    r"0{0,4}(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}"
    r"|6(?:[0-4][0-9]{3}|5(?:[0-4][0-9]{2}|5(?:[0-2][0-9]|3[0-5]))))"
)  # 1 to 65535
_PARAMETERS = (
    r"(?:;[A-Za-z0-9._~!*'()\[\]/:&+$-]+(?:=(?:[A-Za-z0-9._~!*'()\[\]/:&+$-]|%[0-9A-Fa-f]{2})*)?)*"
)
_SCHEME_AGAIN = r"(?i:sips?|tel|genesys):[^@]*@"  # it would be a user with a password
_DESTINATION = re.compile(
    rf"genesys://(?:queue|user)/{_SEGMENT}"
    rf"|sip:(?!{_SCHEME_AGAIN})(?:{_USER}(?::{_USER})?@)?{_HOST}(?::{_PORT})?{_PARAMETERS}(?:\?[!-~]+)?"
    rf"|tel:\+[().-]*[1-9](?:[().-]*[0-9]){{0,14}}[().-]*{_PARAMETERS}"
)
_FORMS = "write genesys://queue/ID, genesys://user/ID, sip:USER@HOST or tel:+NUMBER"
_STARTS = {
    "genesys://": "write genesys://queue/ID or genesys://user/ID; in the ID write %20 for a space and %2F for a slash",
    "sip:": "write sip:USER@HOST or sip:USER@HOST:PORT, without spaces",
    "tel:": "write tel:+, the country's code and the number, such as tel:+441234567890",
}


_NAMED = re.compile(rf"genesys://(?:queue|user)/{_DOTS}(?:[^/%?#\x00-\x1f]|%[0-9A-Fa-f]{{2}})+")


def check_destination(uri: str, *, names: bool = False) -> Finding | None:
    """Return what is wrong with a destination, or None (R006; RFC 3261 and 3966 for the forms).

    With `names` queues and users may be given by name, including spaces.
    """
    if _DESTINATION.fullmatch(uri):
        return None
    if not uri.strip():
        return Finding("R006", "`destination_uri` is empty", _FORMS)
    if (unsafe := check_text(uri, "destination_uri")) is not None:
        return unsafe
    if (edge := _check_edges(uri, "destination_uri")) is not None:
        return edge
    if names and _NAMED.fullmatch(uri):
        return None
    known = (fix for start, fix in _STARTS.items() if uri.startswith(start))
    fault, fix = "is not a valid destination", _meant(uri) or next(known, _FORMS)
    if re.match(f"sip:{_SCHEME_AGAIN}", uri):
        fault = "has a scheme twice"
        fix = "write it once; if the rows have it already, delete the beginning in `columns`"
    return Finding("R006", f"`{_cut(uri)}` {fault}", fix)


_KIND = re.compile("genesys://(?:queue|user)/")
_SHORTENED = re.compile(r"(?:tel:)?\+?[0-9]+[.,][0-9]+[eE]\+?[0-9]+")
_NUMBER = re.compile(r"(?:tel:)?\+[0-9 ().\xa0-]+")
_QUOTES = "'\"`\u2018\u2019\u201c\u201d\u201e"


def _meant(uri: str) -> str | None:
    """Return what to write where it shows what a destination was meant to be, else None."""
    if _SHORTENED.fullmatch(uri):
        return (
            "a spreadsheet has shortened this number and its digits are lost: format the column as text,"
            " enter the number again, and write it as tel:+441234567890"
        )
    found = [uri.strip(_QUOTES)]
    if _NUMBER.fullmatch(uri):
        found.append(f"tel:{re.sub('[^+0-9]', '', uri)}")
    if (kind := _KIND.match(uri)) and uri.isprintable() and "/" not in uri[kind.end() :]:
        found.append(kind[0] + quote(uri[kind.end() :], safe="!$&'()*+,;=:@%"))
    right = next((each for each in found if _DESTINATION.fullmatch(each)), None)
    return None if right is None else f"write `{_cut(right)}`"


_COMMON = {"\t": "a tab", "\n": "a line break", "\r": "a line break"}
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_id(text: str, field: str) -> Finding | None:
    """Return what is wrong with an id or key, or None (R006)."""
    if not text.strip():
        return Finding("R006", f"`{field}` is empty", f"write the {field.replace('_', ' ')}")
    if text in (".", ".."):
        message = f"`{field}` is `{text}`, which cannot be part of an address"
        return Finding("R006", message, "write the id itself")
    if not text.isprintable() and (unsafe := check_text(text, field)) is not None:
        return unsafe
    return _check_edges(text, field)


def are_plain_ids(texts: Collection[str]) -> bool:
    """Return whether all of `texts` are surely valid ids; False: `check_id` knows.

    For many at once: it asks whether they are printable ASCII without spaces.
    """
    joined = "".join(texts)
    return (
        joined.isascii()
        and joined.isprintable()
        and " " not in joined
        and _NO_IDS.isdisjoint(texts)
    )


_NO_IDS = frozenset({"", ".", ".."})


def _check_edges(text: str, field: str) -> Finding | None:
    """Return a finding for a space at the beginning or end, which is easily overlooked (R006)."""
    if not (text[0].isspace() or text[-1].isspace()):
        return None
    space, verb = (text[0], "begins") if text[0].isspace() else (text[-1], "ends")
    name = "a space" if space == " " else _named(space)
    return Finding("R006", f"`{field}` {verb} with {name}", f"write `{_cut(text.strip())}`")


def check_text(text: str, field: str) -> Finding | None:
    """Return the first control, invisible, bidirectional or surrogate character, or None (R006)."""
    unsafe = next((c for c in text if unicodedata.category(c) in _UNSAFE), None)
    if unsafe is None:
        return None
    return Finding("R006", f"`{field}` contains {_named(unsafe)}", "delete the character")


def _named(character: str) -> str:
    name = _COMMON.get(character) or unicodedata.name(character, "a control character").lower()
    return f"U+{ord(character):04X}, {name}"


def _cut(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
