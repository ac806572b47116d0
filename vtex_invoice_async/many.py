"""Many invoices through one client: each is sent once, and what is in doubt is looked for beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from functools import partial

from attrs import frozen

from vtex_invoice_async import checks
from vtex_invoice_async.bulk import Later, work_through
from vtex_invoice_async.call import Call
from vtex_invoice_async.caller import Caller
from vtex_invoice_async.doubts import Doubts
from vtex_invoice_async.errors import CallError, ConfigError, InvalidInvoice, OutcomeUnknown
from vtex_invoice_async.models import Receipt
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.options import Options
from vtex_invoice_async.outcome import InvoiceJob, Outcome, State, state_of

__all__ = ["Many"]


@frozen(kw_only=True, eq=False, repr=False)
class Many:
    """Sends jobs with the options that hold for all of them."""

    caller: Caller
    doubts: Doubts
    options: Options

    def outcomes(
        self, jobs: Iterable[InvoiceJob] | AsyncIterable[InvoiceJob], *, width: int
    ) -> AsyncGenerator[Outcome, None]:
        """Send *jobs*, *width* at a time at most; yield how each ended, as it ends."""
        return work_through(
            jobs,
            self._notify,
            width=width,
            grace=self.options.timeouts.total,
            ready=self.caller.check_usable,
        )

    async def _notify(self, job: InvoiceJob) -> Outcome | Later[Outcome]:
        """Send a job once; what it leaves in doubt is looked for later, by nobody who could send."""
        call: Call[Receipt] | None = None
        try:
            checks.require(InvoiceJob, "job", job)
            operation = NotifyInvoice(order_id=job.order_id, invoice=job.invoice)
            call = self.caller.call(
                operation, self.options, policy=self.options.patient, is_sought=True
            )
            self.doubts.check(call)
            receipt = await self.caller.run(call)
        except OutcomeUnknown as unknown:
            assert call is not None  # noqa: S101  for the type checker: only a call raises it
            self.doubts.add(call, unknown.doubt)
            return Later(partial(self._settled, job, call, unknown))
        except (ConfigError, InvalidInvoice, CallError) as error:
            return self._failed(job, call, error)
        except asyncio.CancelledError:
            if call is not None:
                self.doubts.note(call)
            raise
        return self._confirmed(job, call, receipt)

    async def _settled(
        self, job: InvoiceJob, call: Call[Receipt], unknown: OutcomeUnknown
    ) -> Outcome:
        try:
            receipt = await self.doubts.settle(call, unknown)
        except CallError as error:
            return self._failed(job, call, error)
        return self._confirmed(job, call, receipt)

    def _confirmed(self, job: InvoiceJob, call: Call[Receipt], receipt: Receipt) -> Outcome:
        return Outcome(
            job=job,
            state=State.CONFIRMED,
            receipt=receipt,
            attempts=call.attempts,
            elapsed=self.caller.time() - call.began,
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
            elapsed=0.0 if call is None else self.caller.time() - call.began,
        )
