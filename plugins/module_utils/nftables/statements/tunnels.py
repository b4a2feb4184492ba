# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of the packet inside a tunnel while a rule compiles."""

from __future__ import annotations

from ...errors import DocumentError
from ..headers import Field, Header
from ..headers.tunnel import Tunnel
from ..selectors.base import Selector
from ..selectors.inner import inside
from .context import Context, Step


class TunnelContext(Context):
    """The same as of a bridge, where every packet has a link header, but for tunnels without one.

    What the matches presume is put into the rule that looks into the tunnel.
    """

    def __init__(self, outer: Context, tunnel: Tunnel) -> None:
        self._outer = outer
        self.tunnel: Tunnel = tunnel
        super().__init__("bridge", outer.sets)
        self.anonymous = outer.anonymous
        if not tunnel.link:
            self.link = None

    @property
    def steps(self) -> list[Step]:
        """Those of the rule."""
        return self._outer.steps

    @steps.setter
    def steps(self, steps: list[Step]) -> None:
        if steps:
            self._outer.steps = steps

    def need(self, header: Header, field: Field | None = None) -> int:
        """Make sure of a header inside; a tunnel's own header is there without more ado."""
        if header.base == "ih":
            if header.name != self.tunnel.name:
                raise DocumentError("no header of this tunnel", found=header.name, allowed=self.tunnel.name)
            return 0
        if header.base == "ll" and not self.tunnel.link:
            raise DocumentError(
                "no link header inside %s" % self.tunnel.name, found=header.name, cure="use gretap"
            )
        return super().need(header, field)

    def placed(self, selector: Selector) -> Selector:
        """A selector of the packet inside."""
        return inside(self.tunnel, selector)

    def within(self, tunnel: Tunnel) -> Context:
        """This one; the kernel looks into one tunnel, not into those that it holds."""
        if tunnel is not self.tunnel:
            raise DocumentError("a tunnel inside a tunnel", found=tunnel.name, allowed=self.tunnel.name)
        return self
