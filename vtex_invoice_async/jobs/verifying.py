"""A plan in the light of its orders: each is read once, before anything is sent.

What the journal has begun is its business: its order shows it, or may soon, and it is not sent anew.
But which lines it means has to be told all the same, or the journal could not know it again, and what
comes after it is looked at as if it had been taken.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from functools import partial

from vtex_invoice_async.bulk import work_through
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import (
    CallError,
    InvalidInvoice,
    OrderNotFound,
    Problem,
    RateLimited,
    printable,
)
from vtex_invoice_async.jobs.job import Entry
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.plan import Asked, Plan
from vtex_invoice_async.jobs.rows import RowProblem
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.models import Invoice, Order
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.verify import verify, with_indexes, with_invoice

__all__ = ["exit_of_reading", "verify_plan"]


async def verify_plan(
    client: VtexInvoiceClient, journal: Journal, plan: Plan
) -> AsyncGenerator[Sequence[RowProblem], None]:
    """Yield what each order of a *plan* has against its invoices; what it refuses leaves the plan.

    As many orders are read at a time as the client may have calls in flight. Invoices of one order
    are looked at one after another as they would be sent, each as if those before had been taken.
    Raises the `CallError` of a read that says nothing of its order, and of those after it.
    """
    look = partial(_look, client, journal, plan)
    width = client.config.max_concurrency
    # Whoever leaves has nothing in flight that would need time to end.
    looks = work_through(plan.orders(), look, width=width, grace=0, ready=lambda: None)
    try:
        async for told in looks:
            yield told
    finally:
        await looks.aclose()


def exit_of_reading(error: CallError) -> Exit:
    """Return the code of what keeps orders from being read."""
    if error.status in {401, 403}:
        return Exit.UNAUTHORIZED
    is_silent = error.status is None and not isinstance(error, RateLimited)
    return Exit.UNANSWERED if is_silent else Exit.NOT_SENT


async def _look(
    client: VtexInvoiceClient, journal: Journal, plan: Plan, order_id: str
) -> Sequence[RowProblem]:
    begun = await journal.begun(order_id)
    asked = plan.of_order(order_id)
    open_ = [row for row in asked if row.by_sku or row.entry.invoice_number not in begun]
    if not open_:
        return ()
    found: Order | Problem
    try:
        found = await client.get_order(order_id)
    except CallError as error:
        found = _problem_of(error)
    else:
        if found.order_id != order_id:
            there = printable(found.order_id, 60)
            message = f"VTEX answers with order {there}: if that is the one, give this id of it"
            found = RULES["order-unreadable"].problem("orderId", message)
    if isinstance(found, Problem):
        return [told for row in open_ for told in plan.judge(row, [found])[1]]
    return list(_judged(plan, asked, begun, found))


def _problem_of(error: CallError) -> Problem:
    """Return what an error says of one order; raise what says nothing of it."""
    if isinstance(error, OrderNotFound):
        message = "VTEX does not find it in this account, or it is more than two years old"
        return RULES["order-not-found"].problem("orderId", message)
    of_all = error.status is None or error.status in {401, 403, 429} or error.status >= 500
    if of_all or 300 <= (error.status or 0) < 400:
        raise error
    return RULES["order-unreadable"].problem("orderId", f"cannot be read: {error.reason}")


def _judged(
    plan: Plan, rows: Sequence[Asked], begun: frozenset[str], order: Order
) -> Iterator[RowProblem]:
    shown = {package.invoice_number for package in order.packages or ()}
    for row in rows:
        is_begun = row.entry.invoice_number in begun
        invoice = row.entry.invoice
        problems = [] if is_begun else list(verify(order, invoice, row.entry.orders_api))
        if row.by_sku and not any(problem.severity == "refuse" for problem in problems):
            try:
                invoice = with_indexes(order, invoice)
                plan.name_lines(row, _body(row.entry, invoice))
            except InvalidInvoice as error:
                problems += error.problems
        is_sound, told = plan.judge(row, problems)
        yield from told
        if is_sound and row.entry.invoice_number not in shown:
            order = with_invoice(order, invoice)


def _body(entry: Entry, invoice: Invoice) -> bytes:
    """Return what is sent."""
    job = InvoiceJob(order_id=entry.order_id, invoice=invoice)
    return Entry.of(job, entry.orders_api).body
