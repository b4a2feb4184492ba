# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Sphinx builds the site; ``build.py`` puts the pages before it."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

project = "rempart"
author = copyright = "The rempart authors"
html_title = "rempart"
language = "en"
root_doc = "index"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
# The anchors of headings, as git hosts make them.
myst_heading_anchors = 4
# nft's words are not Sphinx's, and the quotes of commands stay as they are.
smartquotes = False
highlight_language = "text"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["rempart.css"]
html_copy_source = False
html_show_sphinx = False

ANSIBLE = "https://docs.ansible.com/ansible/latest/"
# The labels of Ansible's documentation that the pages of plugins refer to.
LABELS = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
    "list_of_collections": "collections/index.html",
}
BUILTIN = "ansible_collections.ansible.builtin."


def ansibles_own(app: Sphinx, env: Any, node: Any, content: nodes.Element) -> nodes.reference | None:
    """A reference to a page of Ansible's documentation, which the network need not be asked about."""
    label = str(node.get("reftarget", ""))
    if label.startswith(BUILTIN):
        page = "collections/ansible/builtin/%s.html" % label[len(BUILTIN) :].partition("__")[0]
    elif label in LABELS:
        page = LABELS[label]
    else:
        return None
    return nodes.reference("", "", content, internal=False, refuri=ANSIBLE + page)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", ansibles_own)
