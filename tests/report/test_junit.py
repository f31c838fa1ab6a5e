"""The JUnit form: well-formed whatever the texts, with counts that are true."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from runner.report.junit_form import legal
from tests.report import samples
from tests.report.conftest import Rendered


def test_outcomes_become_what_a_build_server_knows(rendered: Rendered):
    suite = ET.fromstring(rendered(samples.mixed(12), "junit"))[0]
    kinds = [case[0].tag if len(case) else "passed" for case in suite.iter("testcase")]
    assert kinds == [
        "passed",
        "passed",
        "passed",
        "failure",
        "passed",
        "skipped",
        "error",
        "failure",
        "skipped",
        "passed",
        "skipped",
        "passed",
    ]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "12", "failures": "2", "errors": "1", "skipped": "3"}


def test_a_failure_says_why_and_of_which_interaction(rendered: Rendered):
    suite = ET.fromstring(rendered(samples.mixed(12), "junit"))[0]
    failure = suite[3][0]
    assert failure.get("message") == "destination_unreachable"
    assert failure.get("type") == "rejected"
    assert samples.identity("interaction", 3) in (failure.text or "")


def test_hostile_texts_leave_it_well_formed(rendered: Rendered):
    text = rendered(samples.hostile(), "junit").encode("utf-8", "replace")
    names = [case.get("name") for case in ET.fromstring(text).iter("testcase")]
    assert names[0] == samples.HOSTILE[0]
    assert len(names) == len(samples.HOSTILE)


def test_what_xml_cannot_hold_is_left_out():
    assert legal("a\x00\x1b\x0b\ud800\ufffe\uffffb\t\n\r\U0001f600") == "ab\t\n\r\U0001f600"
