"""When a rule is on: days and hours in a time zone."""

from __future__ import annotations

import difflib
from datetime import datetime, timezone
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from actors.rule_shapes import Spec

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIME = r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"


class Hours(Spec):
    """Hours of some days. Where the end is before the start, they go on into the next day."""

    days: tuple[Day, ...] = Field(
        DAYS, min_length=1, max_length=7, description="mon, tue, wed, thu, fri, sat, sun."
    )
    start: str = Field("00:00", pattern=_TIME, description="HH:MM, this minute included.")
    end: str = Field("24:00", pattern=_TIME, description="HH:MM, this minute not included.")

    @model_validator(mode="after")
    def _last_some_time(self) -> Hours:
        if self.start == self.end:
            raise ValueError(
                f"end: is the same as the start, {self.end}: for a whole day give 00:00 and 24:00"
            )
        return self

    def hold(self, day: int, minute: int) -> bool:
        """Whether a minute of a day (0 is Monday) is within these hours."""
        start, end = _minute(self.start), _minute(self.end)
        if start < end:
            return DAYS[day] in self.days and start <= minute < end
        today, yesterday = DAYS[day] in self.days, DAYS[day - 1] in self.days
        return (today and minute >= start) or (yesterday and minute < end)


class Schedule(Spec):
    """A rule with a schedule sees nothing outside its hours, and what is open then ends."""

    time_zone: str = Field("UTC", max_length=64, description="IANA name, such as Europe/Zurich.")
    hours: tuple[Hours, ...] = Field(
        max_length=32, description="The rule is on within any of these."
    )

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            raise ValueError(f"there is no such time zone: {_remedy(name)}") from None
        return name

    @field_validator("hours")
    @classmethod
    def _has_hours(cls, hours: tuple[Hours, ...]) -> tuple[Hours, ...]:
        if not hours:
            raise ValueError("has no hours: give at least 1, or leave the schedule out")
        return hours

    def is_on(self, ts: float) -> bool:
        """Whether the rule is on at a time, UTC in seconds since 1970."""
        utc = datetime.fromtimestamp(ts // 60 * 60, timezone.utc)
        local = utc.astimezone(ZoneInfo(self.time_zone))
        minute = 60 * local.hour + local.minute
        return any(hours.hold(local.weekday(), minute) for hours in self.hours)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)


def _remedy(name: str) -> str:
    known = available_timezones()
    if not known:
        return "this machine knows none, install the package tzdata"
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "give an IANA name, such as Europe/Zurich"
