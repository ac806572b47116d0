"""What the throttle keeps to at random: its rate, what it was told to wait, and its slots."""

from __future__ import annotations

import heapq
import math
import sys

from attrs import define, field
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.test_throttle import REJECTED, SERVED, answer
from vtex_invoice_async.config import ThrottleLimits
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.throttle import Slot, Throttle

replies = st.one_of(
    st.just(SERVED),
    st.just(REJECTED),
    st.integers(0, 10**9 - 1).map(lambda seconds: answer(429, Retry_After=str(seconds))),
    st.sampled_from([0, 1, 3]).map(lambda seconds: answer(429, Retry_After=str(seconds))),
    st.integers(0, 10**4).map(lambda seconds: answer(429, RateLimit_Reset=str(seconds))),
    st.sampled_from([answer(500), answer(503, Retry_After="5"), answer(404)]),
    st.sampled_from("01").map(lambda left: answer(200, X_RateLimit_Remaining=left)),
)
limits = st.builds(
    ThrottleLimits,
    rate=st.none() | st.floats(0.01, 1000),
    max_rate=st.none() | st.floats(0.01, 1000),
)


@define
class Callers:
    """Callers who keep to the rules, and a note of all they saw."""

    throttle: Throttle
    now: float
    fastest: float = field(init=False)
    waiting: list[tuple[float, int, Slot]] = field(factory=list)
    sent: list[float] = field(factory=list)
    closed: list[tuple[float, float]] = field(factory=list)
    _count: int = 0

    def __attrs_post_init__(self) -> None:
        self.fastest = self.throttle.rate

    def reserve(self) -> None:
        slot = self.throttle.reserve(self.now)
        self.fastest = max(self.fastest, self.throttle.rate)
        self._count += 1
        assert slot.at >= max(self.now, self.throttle.closed_until)
        assert self.throttle.holds(slot)
        heapq.heappush(self.waiting, (slot.at, self._count, slot))

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.waiting and self.waiting[0][0] <= until:
            self.now, _, slot = heapq.heappop(self.waiting)
            if self.throttle.holds(slot):
                self.sent.append(self.now)
            else:
                self.reserve()
        self.now = until

    def hear(self, reply: Reply, which: int) -> None:
        if not self.sent:
            return
        sent_at = self.sent[-1 - which % len(self.sent)]
        rate, pending = self.throttle.rate, [slot for *_, slot in self.waiting]
        closed_until = self.throttle.closed_until
        asks = reply.status in {429, 503} and reply.retry_after is not None
        cut = self.throttle.observe(sent_at, self.now, reply)
        assert self.throttle.rate <= rate
        assert self.throttle.closed_until >= closed_until
        assert self.throttle.rate == rate or reply.status < 500
        assert self.throttle.closed_until == closed_until or cut or asks or reply.status == 429
        if asks:
            wait = reply.retry_after or 0.0
            self.closed.append((self.now, self.now + wait))
            assert self.throttle.closed_until >= self.now + wait
        assert not cut or self.throttle.closed_until > self.now
        # Nobody's any more, and given back all the same. (To be asked for no wait voids none.)
        for slot in pending[:3]:
            if not self.throttle.holds(slot):
                self.throttle.give_back(slot)
        for slot in pending:
            assert not self.throttle.holds(slot) or slot.at >= self.throttle.closed_until


steps = st.lists(
    st.one_of(
        st.integers(1, 40).map(lambda many: ("reserve", many, SERVED)),
        st.sampled_from([0.0, 0.001, 0.05, 0.3, 1, 40]).map(lambda s: ("pass", s, SERVED)),
        st.tuples(st.just("hear"), st.integers(0, 50), replies),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(limits, st.floats(-1e6, 1e6), steps)
def test_whatever_happens_the_promises_hold(
    limits: ThrottleLimits, start: float, steps: list[tuple[str, float, Reply]]
) -> None:
    callers = Callers(Throttle(limits), start)

    for step, number, reply in steps:
        if step == "reserve":
            for _ in range(int(number)):
                callers.reserve()
        elif step == "pass":
            callers.pass_time(number)
        else:
            callers.hear(reply, int(number))
    callers.pass_time(5)

    sent, throttle = callers.sent, callers.throttle
    assert sent == sorted(sent)
    for n in range(1, len(sent)):
        assert sent[n] - sent[0] >= n / callers.fastest - 1e-6
        assert sent[n] - sent[n - 1] >= 1 / callers.fastest - 1e-8
    for told_at, until in callers.closed:
        assert not [at for at in sent if told_at < at < until]
    if limits.rate is not None:
        assert throttle.rate == min(limits.rate, limits.max_rate or math.inf)
    assert throttle.rate <= (limits.max_rate or math.inf)


odd = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=300, deadline=None)
@example(
    ThrottleLimits(),
    [(-sys.float_info.max, 0.0, REJECTED), (0.0, 0.0, SERVED), (1e293, 0.0, REJECTED)],
)
@given(limits, st.lists(st.tuples(odd, odd, replies), max_size=30))
def test_no_time_however_odd_breaks_it(
    limits: ThrottleLimits, times: list[tuple[float, float, Reply]]
) -> None:
    throttle = Throttle(limits)

    for sent_at, now, reply in times:
        rate = throttle.rate
        throttle.observe(sent_at, now, reply)
        assert throttle.rate <= rate
        slot, after = throttle.reserve(now), throttle.reserve(now)

        assert max(now, throttle.closed_until) <= slot.at <= after.at < math.inf
        assert 0 < throttle.rate <= max(2 * rate, 0.05)
