"""Files of made-up invoices of two items, in each format that is read, as a seller would export them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

__all__ = ["FILES", "File"]

PARQUET_ROWS: Final = 20_000
"""Rows that are written at a time."""


def key_of(number: int) -> str:
    """Return the key of the NF-e of a number."""
    digits = f"3526011234567800019555001{number:09}112345678"
    rest = sum(int(d) * (2 + at % 8) for at, d in enumerate(reversed(digits))) % 11
    return f"{digits}{0 if rest < 2 else 11 - rest}"


def order_id_of(number: int) -> str:
    # In no order, so that the journal's index of them is written all over.
    return f"117{number * 7_919_317 % 10**10:010}-01"


def invoice(number: int) -> dict[str, Any]:
    return {
        "orderId": order_id_of(number),
        "type": "Output",
        "invoiceNumber": f"NFe-{number:09}",
        "invoiceValue": 2 * 2_499 + 12_990 + 1_490,
        "issuanceDate": "2026-01-31T18:25:43-03:00",
        "invoiceKey": key_of(number),
        "invoiceUrl": f"https://nfe.example.com.br/danfe/{number:09}.pdf",
        "courier": "Transportadora Rápida",
        "trackingNumber": f"BR{number:09}TR",
        "trackingUrl": f"https://rastreio.example.com.br/BR{number:09}TR",
        "items": [
            {"id": "2000037", "price": 2_499, "quantity": 2, "description": "Camiseta preta, M"},
            {"id": "2000104", "price": 12_990, "quantity": 1, "description": "Tênis branco, 42"},
        ],
    }


def table_rows(count: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each item, in which what is of its invoice is repeated."""
    for number in range(1, count + 1):
        whole = invoice(number)
        items = whole.pop("items")
        for item in items:
            yield whole | {f"item{key[0].upper()}{key[1:]}": item[key] for key in item}


def write_json_lines(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, count + 1):
            file.write(json.dumps(invoice(number), ensure_ascii=False) + "\n")


def write_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, next(table_rows(1)))
        writer.writeheader()
        writer.writerows(table_rows(count))


def write_parquet(path: Path, count: int) -> None:
    # Whoever imports this module has its memory measured, and most do not write Parquet.
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = table_rows(count)
    schema = pa.Table.from_pylist([next(table_rows(1))]).schema
    with pq.ParquetWriter(path, schema) as writer:
        while some := list(islice(rows, PARQUET_ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema))


def write_notes(path: Path, count: int) -> None:
    """Write a folder of authorised notes."""
    path.mkdir()
    for number in range(1, count + 1):
        key = key_of(number)
        text = NOTE.format(number=number, key=key, order_id=order_id_of(number))
        (path / f"{key}-procNFe.xml").write_text(text, encoding="utf-8")


_PRODUCT: Final = """\
<det nItem="{at}"><prod><cProd>{sku}</cProd><cEAN>SEM GTIN</cEAN><xProd>{name}</xProd><NCM>61091000</NCM>\
<CFOP>6108</CFOP><uCom>UN</uCom><qCom>{quantity}.0000</qCom><vUnCom>{price}</vUnCom><vProd>{total}</vProd>\
<cEANTrib>SEM GTIN</cEANTrib><uTrib>UN</uTrib><qTrib>{quantity}.0000</qTrib><vUnTrib>{price}</vUnTrib>\
<indTot>1</indTot></prod><imposto><ICMS><ICMSSN102><orig>0</orig><CSOSN>102</CSOSN></ICMSSN102></ICMS>\
<PIS><PISOutr><CST>99</CST><vBC>0.00</vBC><pPIS>0.00</pPIS><vPIS>0.00</vPIS></PISOutr></PIS>\
<COFINS><COFINSOutr><CST>99</CST><vBC>0.00</vBC><pCOFINS>0.00</pCOFINS><vCOFINS>0.00</vCOFINS></COFINSOutr></COFINS>\
</imposto></det>"""
_PRODUCTS: Final = _PRODUCT.format(
    at=1, sku="2000037", name="Camiseta preta, M", quantity=2, price="24.99", total="49.98"
) + _PRODUCT.format(
    at=2, sku="2000104", name="Tênis branco, 42", quantity=1, price="129.90", total="129.90"
)
_ADDRESS: Final = (
    "<xLgr>Rua das Flores</xLgr><nro>1</nro><xBairro>Centro</xBairro><cMun>3550308</cMun>"
    "<xMun>São Paulo</xMun><UF>SP</UF><CEP>01001000</CEP><cPais>1058</cPais><xPais>Brasil</xPais>"
)
NOTE: Final = (
    """\
<?xml version="1.0" encoding="UTF-8"?>
<nfeProc xmlns="http://www.portalfiscal.inf.br/nfe" versao="4.00"><NFe><infNFe Id="NFe{key}" versao="4.00">\
<ide><cUF>35</cUF><cNF>12345678</cNF><natOp>Venda</natOp><mod>55</mod><serie>1</serie><nNF>{number}</nNF>\
<dhEmi>2026-01-31T18:25:43-03:00</dhEmi><tpNF>1</tpNF><idDest>2</idDest><cMunFG>3550308</cMunFG><tpImp>1</tpImp>\
<tpEmis>1</tpEmis><cDV>0</cDV><tpAmb>1</tpAmb><finNFe>1</finNFe><indFinal>1</indFinal><indPres>2</indPres>\
<procEmi>0</procEmi><verProc>1</verProc></ide>\
<emit><CNPJ>12345678000195</CNPJ><xNome>Loja de Exemplo</xNome><enderEmit>"""
    + _ADDRESS
    + """</enderEmit><IE>111111111111</IE><CRT>1</CRT></emit>\
<dest><CPF>12345678909</CPF><xNome>Fulana de Exemplo</xNome><enderDest>"""
    + _ADDRESS
    + "</enderDest><indIEDest>9</indIEDest></dest>"
    + _PRODUCTS
    + """\
<total><ICMSTot><vBC>0.00</vBC><vICMS>0.00</vICMS><vICMSDeson>0.00</vICMSDeson><vFCP>0.00</vFCP><vBCST>0.00</vBCST>\
<vST>0.00</vST><vFCPST>0.00</vFCPST><vFCPSTRet>0.00</vFCPSTRet><vProd>179.88</vProd><vFrete>14.90</vFrete>\
<vSeg>0.00</vSeg><vDesc>0.00</vDesc><vII>0.00</vII><vIPI>0.00</vIPI><vIPIDevol>0.00</vIPIDevol><vPIS>0.00</vPIS>\
<vCOFINS>0.00</vCOFINS><vOutro>0.00</vOutro><vNF>194.78</vNF></ICMSTot></total>\
<transp><modFrete>0</modFrete><transporta><xNome>Transportadora Rápida</xNome></transporta>\
<vol><qVol>1</qVol></vol></transp><pag><detPag><tPag>03</tPag><vPag>194.78</vPag></detPag></pag>\
<compra><xPed>{order_id}</xPed></compra></infNFe></NFe>\
<protNFe versao="4.00"><infProt><tpAmb>1</tpAmb><verAplic>1</verAplic><chNFe>{key}</chNFe>\
<dhRecbto>2026-01-31T18:26:01-03:00</dhRecbto><nProt>135260000000001</nProt><digVal>MDEyMzQ1Njc4OTAxMjM0NTY3ODk=</digVal>\
<cStat>100</cStat><xMotivo>Autorizado o uso da NF-e</xMotivo></infProt></protNFe></nfeProc>
"""
)


@frozen(kw_only=True)
class File:
    """How a format is written, and read."""

    name: str
    write: Callable[[Path, int], None]
    options: Mapping[str, Any] = field(factory=dict)
    """What it is read with."""


FILES: Final[Mapping[str, File]] = {
    "jsonl": File(name="rows.jsonl", write=write_json_lines),
    "csv": File(name="rows.csv", write=write_csv),
    "parquet": File(name="rows.parquet", write=write_parquet),
    "nfe": File(name="notes", write=write_notes, options={"order_id_from": "xPed"}),
}
"""By the name of the format."""
