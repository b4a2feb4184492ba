# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an event source is told to watch: its arguments, and the threshold with its hysteresis."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.conntrack.watching import BUFFER, Level, Watch
from rempart.errors import DocumentError


def test_a_level_is_crossed_once_each_way() -> None:
    level = Level(80, 72)
    uses = [10, 79.9, 80, 95, 79, 72, 80, 71.9, 71, 79, 81]
    assert [level.crossed(use) for use in uses] == [
        *("", "", "up", "", "", "", "", "down", "", "", "up"),
    ]


def test_without_a_second_threshold_room_every_crossing_is_told() -> None:
    level = Level(50, 50)
    assert [level.crossed(use) for use in (50, 49, 50, 49)] == ["up", "down", "up", "down"]


def test_defaults() -> None:
    found = Watch({})
    assert found.kinds == ("new", "update", "destroy")
    assert (found.filter.empty, found.netns, found.level, found.buffer) == (True, None, None, BUFFER)
    assert found.look() is None
    found = Watch({"events": [], "saturation": {}})
    assert found.level is not None
    assert (found.level.threshold, found.level.clear, found.interval, found.kinds) == (80, 72, 5, ())


def test_values_as_templates_give_them() -> None:
    found = Watch(
        {
            "events": "destroy, new",
            "filter": {"protocol": "tcp"},
            "buffer": "65536",
            "saturation": {"threshold": "70", "clear": "60.5", "interval": "0.5"},
        }
    )
    assert (found.kinds, found.buffer, found.interval) == (("new", "destroy"), 65536, 0.5)
    assert found.level is not None and (found.level.threshold, found.level.clear) == (70, 60.5)


@pytest.mark.parametrize(
    ("arguments", "places"),
    [
        ({"event": ["new"]}, ["event"]),
        ({"events": ["new", "destory"]}, ["events[1]"]),
        ({"events": 5}, ["events"]),
        ({"events": []}, ["events"]),
        ({"filter": {"sadr": "10.0.0.1", "dport": "nonesuch"}}, ["filter.sadr", "filter.dport"]),
        ({"filter": "tcp"}, ["filter"]),
        ({"netns": 5}, ["netns"]),
        ({"buffer": 1}, ["buffer"]),
        ({"buffer": True}, ["buffer"]),
        ({"saturation": 80}, ["saturation"]),
        ({"saturation": {"treshold": 80}}, ["saturation.treshold"]),
        ({"saturation": {"threshold": 101}}, ["saturation.threshold"]),
        ({"saturation": {"threshold": "high"}}, ["saturation.threshold"]),
        ({"saturation": {"threshold": 0}}, ["saturation.threshold"]),
        ({"saturation": {"threshold": 50, "clear": 60}}, ["saturation.clear"]),
        ({"saturation": {"interval": 0}}, ["saturation.interval"]),
        (
            {"events": ["nwe"], "filter": {"zone": -1}, "saturation": {"interval": "often"}},
            ["events[0]", "filter.zone", "saturation.interval"],
        ),
    ],
)
def test_mistakes_are_told_all_at_once(arguments: dict[str, Any], places: list[str]) -> None:
    with pytest.raises(DocumentError) as caught:
        Watch(arguments)
    assert [one.place for one in caught.value.problems] == places
