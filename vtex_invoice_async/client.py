"""The client: each call is a straight line from a value to VTEX's answer."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from attrs import evolve

from vtex_invoice_async import checks, verify
from vtex_invoice_async.bulk import Later, work_through
from vtex_invoice_async.call import Call
from vtex_invoice_async.caller import Caller
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.doubts import Doubts
from vtex_invoice_async.errors import (
    CallError,
    ConfigError,
    Doubt,
    InvalidInvoice,
    OutcomeUnknown,
    Problem,
)
from vtex_invoice_async.events import LeftInDoubt, Observer, Observers
from vtex_invoice_async.models import Invoice, Order, Receipt, TrackingInfo, TrackingStatus
from vtex_invoice_async.operations import (
    GetOrder,
    NotifyInvoice,
    NotifyReady,
    Operation,
    SendTracking,
    StartHandling,
    UpdateTrackingStatus,
    receipt_from,
)
from vtex_invoice_async.outcome import InvoiceJob, Outcome, State, state_of
from vtex_invoice_async.throttle import Pace
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["VtexInvoiceClient"]

R = TypeVar("R")

SHORT_WINDOW: Final = 60.0


class VtexInvoiceClient:
    """Tells VTEX, for one account, that orders were invoiced.

        async with VtexInvoiceClient(ClientConfig.from_env()) as client:
            receipt = await client.notify_invoice(order_id, invoice)

    One client serves any number of tasks; `max_concurrency` of its calls are in flight at once and
    the others wait their turn. It belongs to the event loop and the process that entered it.

    A call is sent again only where VTEX did not act; where it may have, the order is read to find
    out. It returns only what VTEX confirmed, and otherwise raises a `CallError` whose class says
    what is known: `NotSent` and `RateLimited` may be sent again, `Rejected` must be corrected, and
    what `OutcomeUnknown` leaves in doubt can be asked of `resolve` at any later time. Nothing is
    remembered beyond the process.

    One client serves a whole account: its calls share one pace, which is learned from VTEX's
    answers. *observe* is told what happens (`vtex_invoice_async.events`).
    """

    def __init__(
        self, config: ClientConfig, *, observe: Observer | Iterable[Observer] | None = None
    ) -> None:
        if not isinstance(config, ClientConfig):
            raise ConfigError("give a ClientConfig, such as ClientConfig.from_env()")
        if config.retry.settle_window < SHORT_WINDOW:
            told = f"settle_window is under {SHORT_WINDOW:.0f} s: VTEX may be slower than that"
            warnings.warn(told, stacklevel=2)
        self._config = config
        self._caller = Caller(config, Observers(observe))
        self._doubts = Doubts(self._caller, config.retry)
        # What waits for nobody has no deadline, and ends when VTEX is given up.
        self._bulk_policy = evolve(config.retry, deadline=None)

    def __repr__(self) -> str:
        state = "closed" if self._caller.turns.is_closing else "ready"
        return f"<VtexInvoiceClient of {self._config.account} at {self._config.url}, {state}>"

    @property
    def config(self) -> ClientConfig:
        """The settings that it was made with."""
        return self._config

    async def __aenter__(self) -> Self:
        self._caller.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Whoever is cancelled wants to leave now.
        await self._close(drain=kind is None or issubclass(kind, Exception))

    async def aclose(self) -> None:
        """Take no more calls, let those in flight end within `timeouts.total`, and close the pool.

        Calling it again waits for the first; in another loop or process it does nothing. Leaving
        `async with` does the same, but closes at once when the task is being cancelled.
        """
        await self._close(drain=True)

    async def _close(self, *, drain: bool) -> None:
        await self._caller.aclose(drain=drain)
        if self._caller.observers and (doubts := self._doubts.list()):
            self._caller.observers.tell(LeftInDoubt(doubts=len(doubts)))

    async def send(self, operation: Operation[R]) -> R:
        """Send *operation* and return what VTEX confirms, by its answer or by the order it shows.

        It is sent again only where VTEX did not act. Raises `InvalidInvoice` or `ConfigError` where
        nothing was sent, else a `CallError`.
        """
        self._caller.check_usable()
        call = self._caller.call(operation)
        try:
            # Here for what is in doubt now, and once more when its turn has come.
            self._doubts.check(call)
            return await self._caller.run(call)
        except OutcomeUnknown as unknown:
            return await self._doubts.settle(call, unknown)
        except asyncio.CancelledError:
            self._doubts.note(call)
            raise

    async def resolve(self, doubt: Doubt, *, patience: float | None = None) -> Receipt:
        """Read the order until it is known what became of *doubt*, and return a receipt for it.

        That takes until the order shows the invoice, or until `settle_window` has passed since the
        doubt, and up to as long again where reads fail; it ends after *patience* seconds, if that
        is given, with the doubt as it was. Raises `InvoiceConflict`, `InvoiceAbsent`,
        or `OutcomeUnknown` where the order cannot be read. No invoice is sent.
        """
        if not isinstance(doubt, Doubt) or doubt.since.utcoffset() is None:
            raise ConfigError("give the Doubt of an OutcomeUnknown, its time with a zone")
        self._caller.check_usable()
        return receipt_from(await self._doubts.resolve(doubt, patience))

    def now(self) -> datetime:
        """Return the time of day as doubts are dated: it never goes back while the client is open."""
        return self._caller.latest()

    def pace(self) -> Pace:
        """Return how fast this client sends at the moment, as it has learned from VTEX's answers.

        It counts sends, and not reads: VTEX limits those for themselves.
        """
        self._caller.check_usable()
        return self._caller.pace()

    def in_doubt(self) -> tuple[Doubt, ...]:
        """Return what this client may have had applied and has not found out yet, oldest first."""
        return self._doubts.list()

    async def notify_invoice(self, order_id: str, invoice: Invoice) -> Receipt:
        """Tell VTEX that an order, or a part of it, was invoiced.

        An `OUTPUT` settles money; an `INPUT` on a fully invoiced order refunds the shopper. A
        receipt says that VTEX recorded the invoice, not that money moved.
        """
        return await self.send(NotifyInvoice(order_id=order_id, invoice=invoice))

    async def send_tracking(
        self, order_id: str, invoice_number: str, tracking: TrackingInfo
    ) -> Receipt:
        """Say where the parcel of an invoice can be followed; VTEX may write to the shopper."""
        return await self.send(
            SendTracking(order_id=order_id, invoice_number=invoice_number, tracking=tracking)
        )

    async def update_tracking_status(
        self, order_id: str, invoice_number: str, tracking: TrackingStatus
    ) -> Receipt:
        """Say how far the parcel of an invoice came; the invoice must have a tracking number."""
        return await self.send(
            UpdateTrackingStatus(
                order_id=order_id, invoice_number=invoice_number, tracking=tracking
            )
        )

    async def get_order(self, order_id: str) -> Order:
        """Read an order by its id, or by its sequence as `seq501456`."""
        return await self.send(GetOrder(order_id=order_id))

    def check(self, order: Order, invoice: Invoice) -> tuple[Problem, ...]:
        """Return all that is wrong with an invoice in the light of its *order*, or worth a look.

        Nothing is sent, not even a read: the order is as `get_order` returned it. What VTEX would not
        take, or would be lost, is to `refuse`, the rest to `warn`. On PII an item may name its line by
        its SKU alone; `verify.with_indexes` finds what is sent of it.
        """
        problems = (*checks.of(Order, "order", order), *checks.of(Invoice, "invoice", invoice))
        checks.refuse(problems)
        self._caller.check_usable()
        return verify.check(order, invoice, self._config.orders_api, self.now())

    async def start_handling(self, order_id: str) -> None:
        """Move an order from `ready-for-handling` to `handling`; in another status: `Conflict`."""
        await self.send(StartHandling(order_id=order_id))

    async def notify_journaled(
        self,
        job: InvoiceJob | NotifyReady,
        *,
        intend: Callable[[], Awaitable[None]],
        orders_api: OrdersApi | None = None,
    ) -> Receipt:
        """Send an invoice whose intent is written down first, as a journal or an outbox needs it.

        *intend* is awaited in each attempt, once it has its turn and a connection and before a byte
        of it leaves; what it raises ends the call, and nothing leaves. There is no deadline and
        no look at the order: where VTEX may have acted, `OutcomeUnknown` is raised at once, and its
        doubt is for `resolve`. Else it raises what `notify_invoice` raises. Of a job that is ready
        in its dialect, nothing but its ids is checked again.
        """
        operation: Operation[Receipt]
        if isinstance(job, NotifyReady):
            operation, orders_api = job, job.orders_api
        else:
            operation = NotifyInvoice(order_id=job.order_id, invoice=job.invoice)
        self._caller.check_usable()
        call = self._caller.call(operation, policy=self._bulk_policy, orders_api=orders_api)
        call.intend = intend
        self._doubts.check(call)
        try:
            return await self._caller.run(call)
        except OutcomeUnknown as unknown:
            self._doubts.add(call, unknown.doubt)
            raise
        except BaseException:
            self._doubts.note(call)
            raise

    def notify_many(
        self,
        jobs: Iterable[InvoiceJob] | AsyncIterable[InvoiceJob],
        *,
        concurrency: int | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Send many invoices concurrently; yield each job's outcome as it comes.

        Memory stays flat for any number of *jobs*, which are taken as they can be sent, at most
        *concurrency* (by default `max_concurrency`) at a time. A job that fails is an outcome with
        an error and disturbs no other. An exception of *jobs* itself is raised once the outcomes of
        what was in flight are out.

        No job has a deadline of its own. One in doubt is looked for, for `resolve_for` seconds,
        beside the sending, which pauses while more than twice *concurrency* are in doubt. Where
        VTEX does not answer for two minutes, or asks for a pause above `retry_after_cap`, the jobs
        that are left end at once as `NOT_SENT`.

        Leaving the loop stops taking jobs and lets those in flight end within `timeouts.total`;
        wrap the call in `contextlib.aclosing` to wait for that. Cancelling stops at once, and
        outcomes that were not read yet are lost; what is in doubt is in `in_doubt()` either way.
        """
        width = self._config.max_concurrency if concurrency is None else concurrency
        if type(width) is not int or not 1 <= width <= self._config.max_concurrency:
            most = self._config.max_concurrency
            raise ConfigError(f"concurrency must be an int from 1 to max_concurrency, {most}")
        return work_through(
            jobs,
            self._notify,
            width=width,
            grace=self._config.timeouts.total,
            ready=self._caller.check_usable,
        )

    async def _notify(self, job: InvoiceJob) -> Outcome | Later[Outcome]:
        """Send a job once; what it leaves in doubt is looked for later, by nobody who could send."""
        call: Call[Receipt] | None = None
        try:
            checks.require(InvoiceJob, "job", job)
            operation = NotifyInvoice(order_id=job.order_id, invoice=job.invoice)
            call = self._caller.call(operation, policy=self._bulk_policy)
            self._doubts.check(call)
            receipt = await self._caller.run(call)
        except OutcomeUnknown as unknown:
            assert call is not None  # noqa: S101  for the type checker: only a call raises it
            self._doubts.add(call, unknown.doubt)
            return Later(partial(self._settled, job, call, unknown))
        except (ConfigError, InvalidInvoice, CallError) as error:
            return self._failed(job, call, error)
        except asyncio.CancelledError:
            if call is not None:
                self._doubts.note(call)
            raise
        return self._confirmed(job, call, receipt)

    async def _settled(
        self, job: InvoiceJob, call: Call[Receipt], unknown: OutcomeUnknown
    ) -> Outcome:
        try:
            receipt = await self._doubts.settle(call, unknown)
        except CallError as error:
            return self._failed(job, call, error)
        return self._confirmed(job, call, receipt)

    def _confirmed(self, job: InvoiceJob, call: Call[Receipt], receipt: Receipt) -> Outcome:
        return Outcome(
            job=job,
            state=State.CONFIRMED,
            receipt=receipt,
            attempts=call.attempts,
            elapsed=self._caller.time() - call.began,
        )

    def _failed(
        self,
        job: InvoiceJob,
        call: Call[Receipt] | None,
        error: ConfigError | InvalidInvoice | CallError,
    ) -> Outcome:
        return Outcome(
            job=job,
            state=state_of(error),
            error=error,
            attempts=error.attempts if isinstance(error, CallError) else 0,
            # What cannot be written takes no time.
            elapsed=0.0 if call is None else self._caller.time() - call.began,
        )
