# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write every page that is made: ``python -m tests.support.reference``."""

from __future__ import annotations

from tests.support.reference.pages import ROOT, pages

for path, text in pages().items():
    (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
    (ROOT / path).write_text(text, encoding="utf-8")
