"""The adapters that carry transfers out: a folder per driver, each behind the `Gateway` port."""
