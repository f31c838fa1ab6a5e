"""Reports: what a run leaves for people and programs (cli.md, "A run leaves")."""

from runner.report.audit import audit_lines
from runner.report.verification import AuditFault, AuditVerdict, Tampering, verify_audit
from runner.report.writing import FORMATS, folder_name, render, write_report

__all__ = [
    "FORMATS",
    "AuditFault",
    "AuditVerdict",
    "Tampering",
    "audit_lines",
    "folder_name",
    "render",
    "verify_audit",
    "write_report",
]
