"""A stand-in for curl with the options that the documentation uses, for machines that have none: `python -m tests.curl -s URL`.

Files of `--data-binary @file` are taken from the folder named by PAGE.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import requests


def main(arguments: list[str]) -> int:
    """Prints the body; 22 for a status of 400 and above with -f, 7 when nobody answers, 2 for an option it does not know."""
    url, fail, data, headers = "", False, None, {}
    rest = iter(arguments)
    for word in rest:
        if word in ("-H", "--header"):
            name, _, value = next(rest).partition(":")
            headers[name] = value.strip()
        elif word in ("-d", "--data-binary"):
            given = next(rest)
            data = Path(os.environ.get("PAGE", "."), given[1:]).read_bytes() if given.startswith("@") else given.encode()
        elif word.startswith("-") and set(word[1:]) <= set("sSf"):
            fail = fail or "f" in word
        elif word.startswith("-"):
            print(f"tests.curl knows no {word}", file=sys.stderr)
            return 2
        else:
            url = word
    try:
        answer = requests.request("GET" if data is None else "POST", url, data=data, headers=headers, timeout=60)
    except requests.ConnectionError:
        return 7
    if fail and answer.status_code >= 400:
        return 22
    sys.stdout.write(answer.text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
