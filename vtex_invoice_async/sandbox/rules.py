"""Where VTEX's pages disagree, or are silent: which of its possible behaviours a sandbox has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, get_args

from attrs import frozen

from vtex_invoice_async.errors import ConfigError

__all__ = ["AboveValue", "Duplicates", "Early", "Rules"]

Duplicates = Literal["documented", "refresh", "reject", "conflict", "apply_again"]
Early = Literal["take", "refuse"]
AboveValue = Literal["refuse", "take"]

_CHOICES: Final = {"duplicates": Duplicates, "early": Early, "above_value": AboveValue}


@frozen(kw_only=True)
class Rules:
    """The disputed behaviours; what is given makes sense, or is a `ConfigError`.

    *duplicates* is `documented`, `refresh`, `reject`, `conflict` or `apply_again`; *early* `take` or
    `refuse`; *above_value* `refuse` or `take`. *settle_delay* and *read_lag* are seconds until an
    invoice is verified, and until its order shows it; `math.inf` is never.
    """

    duplicates: Duplicates = "documented"
    """What becomes of an invoice number that its order has already.

    The Orders API says that only a new receipt comes of it, its PII twin forbids it, and the help
    center says both; no page shows the answer. `documented`: on the OMS paths 200, a new receipt,
    and nothing else changes, on the PII path 400. `refresh`, `reject`: the first or the second on
    both. `conflict`: 409 on both. `apply_again`: a second package of the number is filed, whatever
    it is worth, so that an invoice sent twice shows.
    https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/invoice
    https://developers.vtex.com/docs/api-reference/orders-api-pii-version#post-/api/orders/pvt/document/-orderId-/invoices
    """

    early: Early = "take"
    """What becomes of a sale on an order that nobody handles yet, such as `payment-pending`.

    No page forbids it, and known issue 345526 shows it taken: `take`. `refuse` answers 409.
    """

    above_value: AboveValue = "refuse"
    """What becomes of a sale of more than the order's value leaves.

    VTEX checks it (known issue 930491), and not in one step with a change of the order, after which
    it may be taken (known issue 1348894): `refuse`, by default, or `take`.
    """

    settle_delay: float = 0
    """Seconds for which an invoice is verified, in the status `invoice`.

    The gateway decides how long; `math.inf` is for ever (known issue 500245). The default is none.
    """

    read_lag: float = 0
    """Seconds after which an invoice shows on its order; `math.inf` is never.

    VTEX promises none for an order that is read by its id, and says of its list that it may be
    minutes behind; known issue 1372902 speaks of more. The default is none.
    """

    def __attrs_post_init__(self) -> None:
        problems = "; ".join(self._problems())
        if problems:
            raise ConfigError(problems)

    def _problems(self) -> Iterator[str]:
        for name, kind in _CHOICES.items():
            choices = get_args(kind)
            if getattr(self, name) not in choices:
                yield f"{name} must be one of {', '.join(choices)}"
        for name in ("settle_delay", "read_lag"):
            seconds = getattr(self, name)
            # Written so that NaN is refused as well.
            if type(seconds) not in {int, float} or not seconds >= 0:
                yield f"{name} must be seconds, 0 or more"
