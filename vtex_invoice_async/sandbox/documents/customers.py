"""Shoppers that do not exist, one for each order.

Whoever sees one of the constants below where no shopper belongs, in a log, a journal or a
report, knows that personal data of an order came through.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from attrs import evolve, frozen

__all__ = [
    "DOCUMENT_PREFIX",
    "EMAIL_DOMAIN",
    "LAST_NAME",
    "PHONE_PREFIX",
    "STREET",
    "Customer",
    "customer_of",
]

# Each is put together: what draws test data from a program's literals, as Hypothesis does, would
# come upon one that is a literal, and whoever looks for it would be told of a leak that is none.
_SANDBOX: Final = ("Caixa", "de", "Areia")
_HOST: Final = "cliente.example"
_NO_AREA_CODE: Final = "00"

LAST_NAME: Final = "-".join(_SANDBOX)
EMAIL_DOMAIN: Final = f"@{_HOST}"
STREET: Final = f"Rua da {' '.join(_SANDBOX)}"
PHONE_PREFIX: Final = f"+55{_NO_AREA_CODE}999"
DOCUMENT_PREFIX: Final = "000"
"""Of a CPF, which has eleven digits."""

_FIRST_NAMES: Final = ("Ana", "Bruno", "Carla", "Diego", "Elisa", "Fábio", "Glória", "Hugo")
_PLACES: Final = (
    ("São Paulo", "SP", "01000000", (-46.6333, -23.5505)),
    ("Rio de Janeiro", "RJ", "20000000", (-43.1729, -22.9068)),
    ("Curitiba", "PR", "80000000", (-49.2733, -25.4284)),
    ("Recife", "PE", "50000000", (-34.8770, -8.0476)),
)


@frozen(kw_only=True)
class Customer:
    """A shopper, with the address that the order goes to."""

    first_name: str
    last_name: str = LAST_NAME
    email: str
    alias: str
    """The address under which VTEX lets a seller write to the shopper."""

    document: str
    phone: str
    street: str = STREET
    number: str
    complement: str
    neighborhood: str
    postal_code: str
    city: str
    state: str
    coordinates: tuple[float, ...]

    @property
    def name(self) -> str:
        """Both names, as on a parcel."""
        return f"{self.first_name} {self.last_name}"

    def masked(self) -> Customer:
        """Return what is seen of the shopper by who may not see more."""
        # VTEX's page of GET order shows two masked names, `U**` and `H*****`: the first letter
        # stays. It shows nothing of the rest: those stars are ours, one a character, and so is
        # it that city and state stay in clear and that the coordinates are none.
        return evolve(
            self,
            first_name=_but_first(self.first_name),
            last_name=_but_first(self.last_name),
            email=_stars(self.email),
            alias=_stars(self.alias),
            document=_stars(self.document),
            phone=_stars(self.phone),
            street=_stars(self.street),
            number=_stars(self.number),
            complement=_stars(self.complement),
            neighborhood=_stars(self.neighborhood),
            postal_code=_stars(self.postal_code),
            coordinates=(),
        )


def customer_of(order_id: str) -> Customer:
    """Return the shopper of an order: the same for the same id."""
    digest = blake2b(order_id.encode(), digest_size=16, person=b"customer").digest()
    digits = f"{int.from_bytes(digest):039}"[-8:]
    first_name = _FIRST_NAMES[digest[0] % len(_FIRST_NAMES)]
    city, state, postal_code, coordinates = _PLACES[digest[1] % len(_PLACES)]
    return Customer(
        first_name=first_name,
        email=f"cliente.{digits}{EMAIL_DOMAIN}",
        alias=f"{digest.hex()}{EMAIL_DOMAIN}",
        document=DOCUMENT_PREFIX + digits,
        phone=PHONE_PREFIX + digits[:6],
        number=str(1 + digest[2]),
        complement=f"Apto {1 + digest[3]}",
        neighborhood="Centro",
        postal_code=postal_code,
        city=city,
        state=state,
        coordinates=coordinates,
    )


def _but_first(text: str) -> str:
    return text[:1] + _stars(text[1:])


def _stars(text: str) -> str:
    return "*" * len(text)
