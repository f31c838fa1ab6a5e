"""SSH signatures of files: verified by `cryptography`, made by OpenSSH's own program."""
