"""Synthetic messages for measuring: one ORU^R01 with 20 results, one person after another."""

from __future__ import annotations

from decimal import Decimal

from gateway.identity.numbers import check_character

ITEMS = (
    ("WBC", "白细胞计数", "6.52", "10^9/L", "3.5-9.5"), ("RBC", "红细胞计数", "4.61", "10^12/L", "4.3-5.8"),
    ("HGB", "血红蛋白", "141", "g/L", "130-175"), ("PLT", "血小板", "233", "10^9/L", "125-350"),
    ("HCT", "红细胞压积", "42.1", "%", "40-50"), ("NEUT%", "中性粒细胞%", "61.2", "%", "40-75"),
    ("LYMPH%", "淋巴细胞%", "29.8", "%", "20-50"), ("ALT", "谷丙转氨酶", "23", "U/L", "9-50"),
    ("AST", "谷草转氨酶", "21", "U/L", "15-40"), ("TBIL", "总胆红素", "12.40", "umol/L", "0-26"),
    ("TP", "总蛋白", "71.5", "g/L", "65-85"), ("ALB", "白蛋白", "44.0", "g/L", "40-55"),
    ("CREA", "肌酐", "78", "umol/L", "57-97"), ("UREA", "尿素", "5.60", "mmol/L", "3.1-8.0"),
    ("UA", "尿酸", "352", "umol/L", "208-428"), ("GLU", "葡萄糖", "5.32", "mmol/L", "3.9-6.1"),
    ("TC", "总胆固醇", "4.71", "mmol/L", "0-5.2"), ("TG", "甘油三酯", "1.32", "mmol/L", "0-1.7"),
    ("K", "钾", "4.12", "mmol/L", "3.5-5.3"), ("NA", "钠", "140", "mmol/L", "137-147"),
)  # fmt: skip


def id_card(serial: int) -> str:
    """A valid ID-card number of a person who cannot exist (area 390102)."""
    body = f"390102{1940 + serial % 60:04d}{1 + serial % 12:02d}{1 + serial % 28:02d}{serial % 1000:03d}"
    return body + check_character(body)


def oru(n: int, person: int | None = None) -> bytes:
    """Message number n about a person, in UTF-8 with CR between segments."""
    person = n if person is None else person
    head = (
        f"MSH|^~\\&|LIS|COUNTY|GATEWAY|YIFANG|20260301083000||ORU^R01|M{n:08d}|P|2.4|||||CHN|UNICODE UTF-8\r"
        f"PID|1||{id_card(person)}^^^&2.16.156.10011.1.3&ISO^NI||测试{person % 1000}^^||{1940 + person % 60}0101|M\r"
        f"PV1|1|O|||||||||||||||||V{n:08d}\r"
        f"OBR|1|A{n:08d}|R{n:08d}|BIO^生化常规^L|||20260301080000|||||||20260301081500|血清|||||||20260301083000||LAB|F\r"
    )
    rows = (
        f"OBX|{i}|NM|{code}^{name}^L||{measured(value, n * 31 + i * 7)}|{unit}|{span}|N|||F|||20260301082500"
        for i, (code, name, value, unit, span) in enumerate(ITEMS, 1)
    )
    return (head + "\r".join(rows) + "\r").encode()


def measured(value: str, n: int) -> str:
    """The value as somebody else's would be: within 10 % of it, with as many digits."""
    number = Decimal(value)
    return str((number * (90 + n % 21) / 100).quantize(number))
