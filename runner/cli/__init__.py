"""The command line: parse, build, call, exit code. No logic lives here."""
