"""What a person does next about a journal, as commands that can be pasted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from vtex_invoice_async.config import url_of
from vtex_invoice_async.jobs.header import Header
from vtex_invoice_async.jobs.reasons import Reason, sent_twice
from vtex_invoice_async.jobs.report.facts import Step
from vtex_invoice_async.jobs.typed import pasted
from vtex_invoice_async.outcome import State

__all__ = ["Commands", "steps"]


@frozen
class Commands:
    """The commands about one journal."""

    journal: str
    header: Header
    orders_api: str | None

    def work(self, name: str, *files: str) -> str:
        """Return a command that goes on with the journal; the credentials are in the environment."""
        words = [name, "--account", self.header.account]
        if self.orders_api is not None:
            words += ["--orders-api", self.orders_api]
        if not _is_usual(self.header):
            words += ["--base-url", self.header.origin.removesuffix(":443")]
        return pasted([*words, "--journal", self.journal], files)

    def export(self, state: State) -> str:
        """Return the command that writes the invoices in *state* to a file."""
        words = pasted(["export", "--journal", self.journal, "--state", state])
        return f"{words} > {_file_of(state)}"


def _file_of(state: State) -> str:
    """Return how the file is called that invoices in *state* are written to, here as where a run ends."""
    return f"{state.replace('_', '-')}.jsonl"


def _is_usual(header: Header) -> bool:
    return header.origin == f"{url_of(header.account, None, None)}:443"


def steps(
    counts: Mapping[State, int], commands: Commands, reasons: Iterable[Reason], *, is_held: bool
) -> Iterator[Step]:
    """Yield what to do about invoices, of which there are so many in each state."""
    if is_held:
        return  # a run is at it
    found = {state: counts.get(state, 0) for state in State}
    found[State.ABSENT] -= sent_twice(reasons)
    if found[State.CONFLICT]:
        told = "Look at the orders in conflict: they show these numbers with other contents."
        yield Step(why=told, command=commands.export(State.CONFLICT))
    waiting = (State.IN_DOUBT, State.ABSENT, State.NOT_SENT, State.HELD, State.PLANNED)
    if any(found[state] for state in waiting):
        told = "Go on: find out what is in doubt, and send what was not sent."
        yield Step(why=told, command=commands.work("resume"))
    if found[State.IN_DOUBT]:
        told = "Or only find out what became of what is in doubt; nothing is sent."
        yield Step(why=told, command=commands.work("resolve"))
    if found[State.REJECTED]:
        told = "Correct what was rejected in the file that this writes, and send it."
        yield Step(why=told, command=commands.export(State.REJECTED))
        send = commands.work("send", _file_of(State.REJECTED))
        yield Step(why="Then send the corrected file to the same journal.", command=send)
