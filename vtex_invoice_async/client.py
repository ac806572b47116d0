"""The client: each call is a straight line from a value to VTEX's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

from vtex_invoice_async import checks
from vtex_invoice_async.bulk import work_through
from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import CallError, ConfigError, InvalidInvoice
from vtex_invoice_async.models import Invoice, Order, Receipt, TrackingInfo, TrackingStatus
from vtex_invoice_async.operations import (
    GetOrder,
    NotifyInvoice,
    Operation,
    SendTracking,
    StartHandling,
    UpdateTrackingStatus,
)
from vtex_invoice_async.outcome import InvoiceJob, Outcome, State, state_of
from vtex_invoice_async.protocol import decode, encode
from vtex_invoice_async.transport import Transport

__all__ = ["VtexInvoiceClient"]

R = TypeVar("R")


class VtexInvoiceClient:
    """Tells VTEX, for one account, that orders were invoiced.

        async with VtexInvoiceClient(ClientConfig.from_env()) as client:
            receipt = await client.notify_invoice(order_id, invoice)

    One client serves any number of tasks; `max_concurrency` of its calls are in flight at once and
    the others wait their turn. It belongs to the event loop and the process that entered it.

    Each call is sent once. It returns only what VTEX confirmed, and otherwise raises a `CallError`
    whose class says what is known: `NotSent` and `RateLimited` may be sent again, `Rejected` must
    be corrected, and `OutcomeUnknown` may have been applied, so that the order must be read first.
    """

    def __init__(self, config: ClientConfig) -> None:
        if not isinstance(config, ClientConfig):
            raise ConfigError("give a ClientConfig, such as ClientConfig.from_env()")
        self._config = config
        self._transport = Transport(config)
        self._slots = asyncio.BoundedSemaphore(config.max_concurrency)
        self._closed: asyncio.Event | None = None
        """Set at the end of closing; None before its start."""

    def __repr__(self) -> str:
        state = "ready" if self._closed is None else "closed"
        return f"<VtexInvoiceClient of {self._config.account} at {self._config.url}, {state}>"

    @property
    def config(self) -> ClientConfig:
        """The settings that it was made with."""
        return self._config

    async def __aenter__(self) -> Self:
        self._transport.open()
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
        if not self._transport.is_usable:
            return
        if not drain:
            # Whoever drains meanwhile is done with it, too: nothing is in flight any more.
            self._closed = self._closed or asyncio.Event()
            await self._transport.aclose()
            self._closed.set()
            return
        if self._closed is not None:
            await self._closed.wait()
            return
        self._closed = asyncio.Event()
        try:
            async with asyncio.timeout(self._config.timeouts.total):
                # Whoever holds every slot knows that nothing is in flight.
                for _ in range(self._config.max_concurrency):
                    await self._slots.acquire()
        except TimeoutError:
            pass  # what is still in flight ends as OutcomeUnknown, in its own task
        finally:
            try:
                await self._transport.aclose()
            finally:
                self._closed.set()

    def _check_usable(self) -> None:
        """Raise `ConfigError` where a call cannot be sent, before it waits for its turn."""
        self._transport.check_usable()
        if self._closed is not None:
            raise ConfigError("this client was closed; nothing was sent")

    async def send(self, operation: Operation[R]) -> R:
        """Send *operation* once and return what VTEX confirms.

        Raises `InvalidInvoice` or `ConfigError` where nothing was sent, else a `CallError`.
        """
        request = encode(operation, self._config.orders_api)
        self._check_usable()
        async with self._slots:
            self._check_usable()  # it may have been closed while this call waited for its turn
            reply = await self._transport.send(request)
        return decode(
            operation,
            self._config.orders_api,
            reply,
            datetime.now(UTC),
            self._transport.blot,
        )

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

    async def start_handling(self, order_id: str) -> None:
        """Move an order from `ready-for-handling` to `handling`; in another status: `Conflict`."""
        await self.send(StartHandling(order_id=order_id))

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

        Leaving the loop stops taking jobs and lets those in flight end within `timeouts.total`;
        wrap the call in `contextlib.aclosing` to wait for that. Cancelling stops at once.
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
            ready=self._check_usable,
        )

    async def _notify(self, job: InvoiceJob) -> Outcome:
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            checks.refuse(checks.of(InvoiceJob, "job", job))
            receipt = await self.notify_invoice(job.order_id, job.invoice)
        except ConfigError as error:
            # The client was closed after the job was taken: it is told, not lost.
            return Outcome(
                job=job,
                state=State.NOT_SENT,
                error=error,
                attempts=0,
                elapsed=clock() - started,
            )
        except (InvalidInvoice, CallError) as error:
            return Outcome(
                job=job,
                state=state_of(error),
                error=error,
                attempts=error.attempts if isinstance(error, CallError) else 0,
                elapsed=clock() - started,
            )
        return Outcome(
            job=job,
            state=State.CONFIRMED,
            receipt=receipt,
            attempts=1,
            elapsed=clock() - started,
        )
