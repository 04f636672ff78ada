"""Events of objects. The same event of the same object is one row with a counter."""

from __future__ import annotations

from vellum.controlplane.database import Database
from vellum.kube.objects import Key, Obj
from vellum.model.state import Event

KEPT_EVENTS = 2000
"""Older events are removed, so that a crash loop does not fill the disk."""

_COLUMNS = ("kind", "namespace", "name", "type", "reason", "message", "count", "first", "last")


def record(database: Database, key: Key, event: Event, now: str) -> None:
    """Add an event, or raise the counter of an equal one."""
    with database.transaction(f"event {key}"):
        database.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)"
            " ON CONFLICT DO UPDATE SET count=count+1, last=excluded.last",
            (key.kind, key.namespace, key.name, event.type, event.reason, event.message, now, now),
        )
        database.execute(
            "DELETE FROM events WHERE rowid IN"
            " (SELECT rowid FROM events ORDER BY last DESC, rowid DESC LIMIT -1 OFFSET ?)",
            (KEPT_EVENTS,),
        )


def listed(database: Database) -> list[Obj]:
    """Return all events, oldest first, each with the columns as keys."""
    rows = database.read(f"SELECT {', '.join(_COLUMNS)} FROM events ORDER BY last, rowid")  # noqa: S608  # constants
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
