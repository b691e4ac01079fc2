"""Charset: UTF-8 strict, then MSH-18 strict, then GB18030 strict; a disagreement is remarked, undecodable bytes are refused."""

from __future__ import annotations

import pytest

from adapters.hl7v2.charset import decode
from gateway.errors import Refused

TEXT = "MSH|^~\\&|LIS|H1|||20260105||ORU^R01|1|P|2.3.1||||||{}\rPID|||1||张䶮^名|\r"


def sent(stated: str, codec: str) -> bytes:
    """A message that states one charset and is written in another."""
    return TEXT.format(stated).encode(codec)


@pytest.mark.parametrize(
    ("stated", "codec", "used", "noted"),
    [
        ("UNICODE UTF-8", "utf-8", "utf-8", False),
        ("", "utf-8", "utf-8", False),
        ("GB 18030-2000", "gb18030", "gb18030", False),
        ("", "gb18030", "gb18030", False),
        ("ASCII", "gb18030", "gb18030", True),
        ("UNICODE", "gb18030", "gb18030", True),
        ("UNICODE UTF-8", "gb18030", "gb18030", True),
        ("GB 18030-2000", "utf-8", "utf-8", True),
        ("8859/1", "utf-8", "utf-8", True),
        ("NONSENSE", "gb18030", "gb18030", True),
    ],
)
def test_the_bytes_decide_and_a_lie_in_msh18_is_remarked(stated: str, codec: str, used: str, noted: bool) -> None:
    found = decode(sent(stated, codec))
    assert found.charset == used
    assert "张䶮" in found.text
    assert [f.code for f in found.findings] == (["charset-disagrees"] if noted else [])


def test_the_profile_stands_in_place_of_msh18() -> None:
    content = "MSH|^~\\&|LIS|H1|||20260105||ORU^R01|1|P|2.3.1||||||8859/1\rPID|||1||張^明|\r".encode("big5")
    assert decode(content, "big5").charset == "big5"
    assert "張" not in decode(content).text


@pytest.mark.parametrize("content", [b"MSH|^~\\&|\xff\xfe\xff|", b"MSH|^~\\&|A\x00B|", "MSH|张".encode("gb18030")[:-1]])
def test_what_no_charset_reads_is_refused_never_replaced(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decode(content)
    assert refused.value.finding.code == "undecodable"
    assert "下一步" in refused.value.finding.message or "重发" in refused.value.finding.message


def test_characters_the_sender_lost_already_are_remarked() -> None:
    found = decode("MSH|^~\\&|LIS\rPID|||1||张\ufffd|\r".encode())
    assert [f.code for f in found.findings] == ["replacement-character"]


def test_a_character_whose_second_byte_is_a_separator_is_not_cut() -> None:
    gbk = "MSH|^~\\&|LIS\rPID|||1||誠|\r".encode("gb18030")  # 0xD5 0x5C: the second byte is a backslash
    assert b"\\|" in gbk.split(b"PID")[1]
    assert decode(gbk).text.split("\r")[1].split("|")[5] == "誠"
