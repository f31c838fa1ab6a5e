"""All codes of problems, with their rules in a line (manifest.md, "Rules")."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "Y001": "the manifest cannot be read",
    "Y002": "the manifest is larger than 64 MB; long lists belong in a `from:` file",
    "Y003": "the manifest is not UTF-8",
    "Y004": "a character that YAML does not allow, or that some programs take for a line break",
    "Y005": "the text is not YAML",
    "Y006": "a second document; a manifest has only one",
    "Y007": "a key appears twice in one mapping",
    "Y008": "a tag that is not part of YAML's core schema, or does not fit its value",
    "Y009": "nesting deeper than 32 levels",
    "Y010": "aliases and merge keys add more than 10,000 values",
    "Y011": "an alias without an anchor or inside its own anchor, or a merge of something other than a mapping",
    "Y012": "a number that is not finite, or whole and beyond 2^53",
    "Y013": "a key that is not text",
    "Y014": "the manifest is empty",
    "S001": "an unknown field; the nearest name is offered",
    "S002": "a required field is missing",
    "S003": "a value of the wrong type, such as a number where text belongs",
    "S004": "a value that is not one of the allowed ones",
    "S005": "a text in the wrong form, such as a name, duration, rate, share or address",
    "S006": "a number outside its bounds",
    "S007": "too few or too many entries",
    "S008": "a list that contains something twice",
    "S009": "an address that would send secrets in the clear, or that contains a user name or password",
    "S010": "a reply status whose listed meaning contradicts its fixed meaning, or that is in both lists",
    "S011": "`waves` that do not ascend",
    "S012": "a field or a value that has no effect with the chosen environment's driver",
    "R001": "an undefined name; the nearest name is offered",
    "R002": "audio and video together need more than the gateway's `max_bandwidth_kbps`, "
    "or than the `total_bandwidth_kbps` of all its transfers",
    "R003": "a codec is not among the gateway's `supported_codecs`",
    "R004": "more frames per second than `max_fps`, or a larger picture than `max_resolution`",
    "R005": "two transfers share a key, or name the same interaction",
    "R006": "a destination or an id is not well formed",
    "R007": "a secret reference cannot be resolved, or is plain text",
    "R008": "the `window` has closed, or closes before it opens",
    "R009": "a `from:` file is missing, empty, outside the manifest's folder or not UTF-8, or a row is bad",
    "R010": "a codec's bandwidth or bit depth is not possible for that codec (warning)",
    "R011": "by the limits, the batch cannot end inside its `window` (warning)",
    "R012": "`approvals` that cannot be given: the `signers` file is missing, wrong, or names too few people",
    "R013": "two entries of `destinations` are limits of the same destination",
    "R014": "`while` names a figure that its destinations do not have",
    "R015": "an included file is missing, outside the manifest's folder, included twice or by itself, "
    "or has a section or a name that it must not have",
    "P001": "a plan file cannot be used, or the options differ from those it was made with",
    "P002": "something has changed since the plan was made",
    "P003": "approvals are required, and the plan lacks some, has lapsed, or is loosened by an option",
}
