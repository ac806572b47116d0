"""The client: each call is a straight line from a value to VTEX's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from copy import copy
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar, Unpack

from attrs import evolve

from vtex_invoice_async import checks, verify
from vtex_invoice_async.caller import Caller
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.doubts import Doubts
from vtex_invoice_async.errors import ConfigError, Doubt, OutcomeUnknown, Problem
from vtex_invoice_async.events import LeftInDoubt, Observer, Observers
from vtex_invoice_async.many import Many
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
from vtex_invoice_async.options import CallOptions, Options, warn_of_haste
from vtex_invoice_async.outcome import InvoiceJob, Outcome
from vtex_invoice_async.throttle import Pace
from vtex_invoice_async.transport import Connector
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["VtexInvoiceClient"]

R = TypeVar("R")


class VtexInvoiceClient:
    """Tells VTEX, for one account, that orders were invoiced.

        async with VtexInvoiceClient(ClientConfig.from_env()) as client:
            receipt = await client.notify_invoice(order_id, invoice)

    One client serves any number of tasks; `max_concurrency` of its calls are in flight at once and
    the others wait their turn. It belongs to the event loop and the process that entered it; it is
    entered once, and what is asked of it before, after or elsewhere is a `ConfigError`.

    A call is sent again only where VTEX did not act; where it may have, the order is read to find
    out. It returns only what VTEX confirmed, and otherwise raises a `CallError` whose class says
    what is known: `NotSent` and `RateLimited` may be sent again, `Rejected` must be corrected, and
    what `OutcomeUnknown` leaves in doubt can be asked of `resolve` at any later time. Nothing is
    remembered beyond the process.

    One client serves a whole account: its calls share one pace, which is learned from VTEX's
    answers. *observe* is told what happens (`vtex_invoice_async.events`). `CallOptions` says what
    each call takes beside its own arguments.

    Clients of several accounts may share an aiohttp *connector*, which whoever made it closes after
    them. Nothing but connections is shared: credentials, pace and circuit are each client's own, and
    so is whom it trusts, by `ssl_context`, whatever the connector says of TLS. Its limit holds for
    all of them together: a call waits for a connection for `timeouts.connect`, and was not sent if
    it gets none.

        async with aiohttp.TCPConnector(limit=200) as connector, AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(VtexInvoiceClient(config, connector=connector))
                for config in configs
            ]
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        observe: Observer | Iterable[Observer] | None = None,
        connector: Connector | None = None,
    ) -> None:
        if not isinstance(config, ClientConfig):
            raise ConfigError("give a ClientConfig, such as ClientConfig.from_env()")
        warn_of_haste(config.retry)
        self._config = config
        observers = Observers(observe)
        self._options = Options.of(config, observers)
        self._caller = Caller(config, observers, connector)
        self._doubts = Doubts(self._caller)
        self._is_borrowed = False

    def __repr__(self) -> str:
        state = "closed" if self._caller.turns.is_closing else "ready"
        return f"<VtexInvoiceClient of {self._config.account} at {self._config.url}, {state}>"

    @property
    def config(self) -> ClientConfig:
        """The settings that hold for its calls: those that it was made with, and its options."""
        return self._config

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """Return a client whose calls have other options; those of a single call win over them.

            patient = client.with_options(timeout=60, observe=log_event)

        It is this client in all else: with its connections, credentials, pace, circuit and doubts,
        and open exactly as long. It is not entered or closed itself, which is a `ConfigError`.
        """
        other = copy(self)
        other._borrow(self._options.with_(options))  # noqa: SLF001  it is of the same class
        return other

    def _borrow(self, options: Options) -> None:
        """Become one that shares all but its *options* with the client that it is a copy of."""
        self._options = options
        self._config = evolve(self._config, timeouts=options.timeouts, retry=options.retry)
        self._is_borrowed = True

    def _with(self, options: CallOptions) -> Options:
        return self._options.with_(options) if options else self._options

    async def __aenter__(self) -> Self:
        self._check_owned()
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

        Then what is still in flight ends in doubt, or as not sent. A connector that was given stays
        open, with all connections but those in use by this client.

        Calling it again waits for the first; in another loop or process it does nothing. Leaving
        `async with` does the same, but closes at once when the task is being cancelled.
        """
        await self._close(drain=True)

    def _check_owned(self) -> None:
        if self._is_borrowed:
            told = "what with_options() returns is open as long as the client that it comes from"
            raise ConfigError(f"{told}: enter and close that one")

    async def _close(self, *, drain: bool) -> None:
        self._check_owned()
        is_news = await self._caller.aclose(drain=drain)
        if is_news and self._caller.observers and (doubts := self._doubts.list()):
            self._caller.observers.tell(LeftInDoubt(doubts=len(doubts)))

    async def send(self, operation: Operation[R], **options: Unpack[CallOptions]) -> R:
        """Send *operation* and return what VTEX confirms, by its answer or by the order it shows.

        It is sent again only where VTEX did not act. Raises `InvalidInvoice` or `ConfigError` where
        nothing was sent, else a `CallError`: `NotSent`, `RateLimited`, a `Rejected`, and of what acts
        `OutcomeUnknown`, `InvoiceConflict` or `InvoiceAbsent`. A read that VTEX did not answer
        properly is a plain `CallError`. `deadline` and `resolve_for` say how long it may take.
        """
        self._caller.check_usable()
        call = self._caller.call(operation, self._with(options), is_sought=True)
        try:
            # Here for what is in doubt now, and once more when its turn has come.
            self._doubts.check(call)
            return await self._caller.run(call)
        except OutcomeUnknown as unknown:
            return await self._doubts.settle(call, unknown)
        except asyncio.CancelledError:
            self._doubts.note(call)
            raise

    async def resolve(
        self, doubt: Doubt, *, patience: float | None = None, **options: Unpack[CallOptions]
    ) -> Receipt:
        """Read the order until it is known what became of *doubt*, and return a receipt for it.

        That takes until the order shows the invoice, or until `settle_window` has passed since the
        doubt, and up to as long again where reads fail; it ends after *patience* seconds, if that
        is given, with the doubt as it was. Raises `InvoiceConflict`, `InvoiceAbsent`,
        or `OutcomeUnknown` where the order cannot be read. No invoice is sent.

        The doubt may be another process's, and hours old. VTEX's answer is gone: `Receipt.receipt`
        and `date` are None.
        """
        if not isinstance(doubt, Doubt) or doubt.since.utcoffset() is None:
            raise ConfigError("give the Doubt of an OutcomeUnknown, its time with a zone")
        self._caller.check_usable()
        return receipt_from(await self._doubts.resolve(doubt, patience, self._with(options)))

    def now(self) -> datetime:
        """Return the time of day as doubts are dated: it never goes back while the client is open."""
        return self._caller.latest()

    def pace(self) -> Pace:
        """Return how fast this client sends at the moment, as it has learned from VTEX's answers.

        Its rate, limit and pause are those of sends: VTEX limits reads for themselves. What was
        throttled and repeated so far is counted of both.
        """
        self._caller.check_usable()
        return self._caller.pace()

    def in_doubt(self) -> tuple[Doubt, ...]:
        """Return what this client may have had applied and has not found out yet, oldest first.

        It can be asked for when the client is closed, too; it ends with the process.
        """
        return self._doubts.list()

    async def notify_invoice(
        self, order_id: str, invoice: Invoice, **options: Unpack[CallOptions]
    ) -> Receipt:
        """Tell VTEX that an order, or a part of it, was invoiced.

        An `OUTPUT` settles money; an `INPUT` on a fully invoiced order refunds the shopper. A
        receipt says that VTEX recorded the invoice, not that money moved. Raises what `send` does;
        `InvalidInvoice` where the account's dialect cannot express the invoice. Called again for an
        invoice that is in doubt, it sends nothing and looks for that one.

        https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/invoice
        """
        return await self.send(NotifyInvoice(order_id=order_id, invoice=invoice), **options)

    async def send_tracking(
        self,
        order_id: str,
        invoice_number: str,
        tracking: TrackingInfo,
        **options: Unpack[CallOptions],
    ) -> Receipt:
        """Say where the parcel of an invoice can be followed; VTEX may write to the shopper.

        The last call wins. Raises what `send` does; `OrderNotFound` where VTEX has no such invoice.

        https://developers.vtex.com/docs/api-reference/orders-api#patch-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-
        """
        operation = SendTracking(
            order_id=order_id, invoice_number=invoice_number, tracking=tracking
        )
        return await self.send(operation, **options)

    async def update_tracking_status(
        self,
        order_id: str,
        invoice_number: str,
        tracking: TrackingStatus,
        **options: Unpack[CallOptions],
    ) -> Receipt:
        """Say how far the parcel of an invoice came; the invoice must have a tracking number.

        Each call may add its events again. Raises what `send` does.

        https://developers.vtex.com/docs/api-reference/orders-api#put-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-/tracking
        """
        operation = UpdateTrackingStatus(
            order_id=order_id, invoice_number=invoice_number, tracking=tracking
        )
        return await self.send(operation, **options)

    async def get_order(self, order_id: str, **options: Unpack[CallOptions]) -> Order:
        """Read an order by its id, or by its sequence as `seq501456`.

        Raises `OrderNotFound` also for one of more than two years ago, and else what `send` does.

        https://developers.vtex.com/docs/api-reference/orders-api#get-/api/oms/pvt/orders/-orderId-
        """
        return await self.send(GetOrder(order_id=order_id), **options)

    def check(self, order: Order, invoice: Invoice) -> tuple[Problem, ...]:
        """Return all that is wrong with an invoice in the light of its *order*, or worth a look.

        Nothing is sent, not even a read: the order is as `get_order` returned it. What VTEX would not
        take, or would be lost, is to `refuse`, the rest to `warn`. On PII an item may name its line by
        its SKU alone; `verify.with_indexes` finds what is sent of it. Each `Problem.source` is the page
        of VTEX that the rule comes from. Raises `InvalidInvoice` for what is no order or no invoice.
        """
        problems = (*checks.of(Order, "order", order), *checks.of(Invoice, "invoice", invoice))
        checks.refuse(problems)
        self._caller.check_usable()
        return verify.check(order, invoice, self._config.orders_api, self.now())

    async def start_handling(self, order_id: str, **options: Unpack[CallOptions]) -> None:
        """Move an order from `ready-for-handling` to `handling`; in another status: `Conflict`.

        Raises what `send` does.

        https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/start-handling
        """
        await self.send(StartHandling(order_id=order_id), **options)

    async def notify_journaled(
        self,
        job: InvoiceJob | NotifyReady,
        *,
        intend: Callable[[], Awaitable[None]],
        orders_api: OrdersApi | None = None,
        **options: Unpack[CallOptions],
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
        given = self._with(options)
        call = self._caller.call(operation, given, policy=given.patient, orders_api=orders_api)
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
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[Outcome, None]:
        """Send many invoices concurrently; yield each job's outcome as it comes.

        Memory stays flat for any number of *jobs*, which are taken as they can be sent, at most
        *concurrency* (by default `max_concurrency`) at a time. A job that fails is an outcome with
        an error and disturbs no other. An exception of *jobs* itself is raised once the outcomes of
        what was in flight are out. *concurrency* above `max_concurrency`, and *options* that make no
        sense, are a `ConfigError` at once.

        No job has a deadline of its own, whatever `retry` says. One in doubt is looked for, for
        `resolve_for` seconds, beside the sending, which pauses while more than twice *concurrency*
        are in doubt. Where VTEX does not answer for two minutes, or asks for a pause above
        `retry_after_cap`, the jobs that are left end at once as `NOT_SENT`.

        Leaving the loop stops taking jobs and lets those in flight end within `timeouts.total`;
        wrap the call in `contextlib.aclosing` to wait for that. Cancelling stops at once, and
        outcomes that were not read yet are lost; what is in doubt is in `in_doubt()` either way.
        """
        width = self._config.max_concurrency if concurrency is None else concurrency
        if type(width) is not int or not 1 <= width <= self._config.max_concurrency:
            most = self._config.max_concurrency
            raise ConfigError(f"concurrency must be an int from 1 to max_concurrency, {most}")
        many = Many(caller=self._caller, doubts=self._doubts, options=self._with(options))
        return many.outcomes(jobs, width=width)
