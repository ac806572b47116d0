"""NF-e as tests need them: sound ones, with a shopper in them whom nothing may name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tests.canaries import CPF, DESCRIPTION, EMAIL, INVOICE_KEY, NAME, key_for
from vtex_invoice_async.jobs.rows import BadRow, Row, RowProblem
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.vocabulary import OrdersApi

NAMESPACE: Final = "http://www.portalfiscal.inf.br/nfe"
NUMBER: Final = 9876
"""That of `INVOICE_KEY`."""

ORDER_ID: Final = "1172452900788-01"
ISSUED: Final = "2026-01-31T22:25:43-03:00"


@frozen
class Line:
    """An item of a note, in the note's own texts."""

    sku: str = "1234"
    quantity: str = "1.0000"
    total: str = "24.99"
    discount: str = ""
    order: str = ""
    cfop: str = "6104"
    counts: str = "1"


def tag(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>" if text else ""


def make_note(
    number: int = NUMBER,
    *lines: Line,
    value: str = "24.99",
    kind: str = "1",
    order: str = ORDER_ID,
    key: str = "",
    protocol_key: str = "",
    status: str = "100",
    environment: str = "1",
    purpose: str = "1",
    issued: str = ISSUED,
    volumes: Sequence[str] = (),
    remarks: Mapping[str, str] | Sequence[tuple[str, str]] = (),
) -> str:
    """The text of an authorised note, a few tags a line."""
    key = key or key_for(number)
    pairs = remarks.items() if isinstance(remarks, Mapping) else remarks
    told = "".join(
        f'<obsCont xCampo="{name}">{tag("xTexto", text)}</obsCont>' for name, text in pairs
    )
    details = "\n".join(_detail(at, line) for at, line in enumerate(lines or (Line(),), 1))
    parcels = "".join(f"<vol>{tag('qVol', count)}</vol>" for count in volumes)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<nfeProc xmlns="{NAMESPACE}" versao="4.00"><NFe><infNFe Id="NFe{key}" versao="4.00">
<ide><cUF>35</cUF><mod>55</mod><serie>1</serie>
<nNF>{number}</nNF>
<dhEmi>{issued}</dhEmi>
<tpNF>{kind}</tpNF>
<tpAmb>{environment}</tpAmb>
<finNFe>{purpose}</finNFe></ide>
<emit><CNPJ>98765432000198</CNPJ><xNome>{NAME} ME</xNome></emit>
<dest><CPF>{CPF.translate({46: "", 45: ""})}</CPF><xNome>{NAME}</xNome><email>{EMAIL}</email></dest>
{details}
<total><ICMSTot><vProd>1.00</vProd>
<vNF>{value}</vNF></ICMSTot></total>
<transp><modFrete>0</modFrete>{parcels}</transp>
<infAdic><infCpl>para {NAME}</infCpl>{told}</infAdic>
<compra>{tag("xPed", order)}</compra>
</infNFe></NFe>
<protNFe versao="4.00"><infProt><tpAmb>{environment}</tpAmb>
<chNFe>{protocol_key or key}</chNFe>
<cStat>{status}</cStat></infProt></protNFe></nfeProc>
"""


def _detail(at: int, line: Line) -> str:
    return f"""<det nItem="{at}"><prod>
{tag("cProd", line.sku)}
<xProd>{DESCRIPTION}</xProd>{tag("CFOP", line.cfop)}
{tag("qCom", line.quantity)}
{tag("vProd", line.total)}
{tag("vDesc", line.discount)}{tag("indTot", line.counts)}{tag("xPed", line.order)}</prod></det>"""


def make_event(key: str = INVOICE_KEY, kind: str = "110111") -> str:
    """An event of a note's, registered by SEFAZ."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<procEventoNFe xmlns="{NAMESPACE}" versao="1.00">
<evento versao="1.00"><infEvento Id="ID{kind}{key}01"><cOrgao>35</cOrgao>
<CPF>{CPF.translate({46: "", 45: ""})}</CPF><chNFe>{key}</chNFe>
<tpEvento>{kind}</tpEvento><nSeqEvento>1</nSeqEvento>
<detEvento versao="1.00"><descEvento>Cancelamento</descEvento><xJust>pedido de {NAME}</xJust></detEvento>
</infEvento></evento>
<retEvento versao="1.00"><infEvento><cStat>135</cStat><chNFe>{key}</chNFe></infEvento></retEvento>
</procEventoNFe>
"""


def line_with(text: str, part: str) -> tuple[int, int]:
    """The line and the column of a text's *part*."""
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def zipped(files: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The bytes of a zip; the same files make the same."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, content)
    return written.getvalue()


def written_to(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """The folder, with these files in it."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def rows_at(
    *paths: Path, choice: str = "xPed", dialect: OrdersApi = OrdersApi.OMS, **more: Any
) -> list[Row | BadRow]:
    return list(read([str(path) for path in paths], dialect, order_id_from=choice, **more))


def row_at(*paths: Path, **options: Any) -> Row:
    (row,) = rows_at(*paths, **options)
    assert isinstance(row, Row), row
    return row


def told_at(*paths: Path, **options: Any) -> tuple[RowProblem, ...]:
    (row,) = rows_at(*paths, **options)
    assert isinstance(row, BadRow), row
    return row.problems
