"""Reports: what a run leaves for people and programs (cli.md, "A run leaves")."""
