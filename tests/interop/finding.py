"""What a comparison came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Finding:
    check: str
    subject: str
    passed: bool
    detail: str
