"""Starts private servers for a test run and stops them afterwards: `python -m tests.services postgres [hapi] [node] -- COMMAND...`.

postgres: a throw-away cluster on a free loopback port; the command sees YIFANG_TEST_POSTGRES (SQLAlchemy URL).
hapi: the real HAPI FHIR R4 server of tests/hapi; the command sees YIFANG_TEST_HAPI (FHIR base).
node: Node with fhir-kit-client in build/node, installed when it is missing; the command sees YIFANG_TEST_NODE (a node_modules folder).
A service that does not start is an error (exit 3), never a skipped test. Needs the standard library only.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
KIT = "1.9.2"
"""Version of fhir-kit-client: the newest that runs on Debian's Node 18 (2.x needs 20)."""


class ServiceError(Exception):
    """A required service did not start."""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def postgres_bin() -> Path:
    """Folder of initdb and pg_ctl, newest version first; ServiceError when PostgreSQL is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise ServiceError("PostgreSQL is not installed (initdb and pg_ctl were not found): apt-get install postgresql")


def _as_postgres(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root; root borrows the `postgres` account."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command] if root else command


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[dict[str, str]]:
    """A private PostgreSQL; yields the environment that names it. durable: a commit is on disk when it is answered, as PostgreSQL has it by
    default; tests do without."""
    tools, port = postgres_bin(), free_port()
    home = Path(tempfile.mkdtemp(prefix="yifang-postgres-"))
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
    data = home / "data"
    try:
        _run([str(tools / "initdb"), "-D", str(data), "-U", "yifang", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        options = f"-p {port} -h 127.0.0.1 -k {home} -c max_connections=200" + ("" if durable else " -c fsync=off")
        _run([str(tools / "pg_ctl"), "-D", str(data), "-l", str(home / "log"), "-w", "-t", "60", "-o", options, "start"])
        try:
            _run([str(tools / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "yifang", "yifang"])
            yield {"YIFANG_TEST_POSTGRES": f"postgresql+psycopg://yifang@127.0.0.1:{port}/yifang"}
        finally:
            subprocess.run(_as_postgres([str(tools / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"]), check=False, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(_as_postgres(command), capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        raise ServiceError(f"{Path(command[0]).name} failed ({done.returncode}):\n{done.stdout}{done.stderr}")


@contextmanager
def hapi(**settings: str) -> Iterator[dict[str, str]]:
    """A real HAPI FHIR R4 server, built when needed; yields the environment that names it. settings: of tests/hapi/README.md."""
    port, environment = free_port(), os.environ | settings
    command = [str(HERE / "hapi" / "start"), str(port)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode:
        raise ServiceError(f"tests/hapi/start failed ({done.returncode})")
    pid = done.stdout.split()[-1]
    try:
        yield {"YIFANG_TEST_HAPI": f"http://127.0.0.1:{port}/fhir"}
    finally:
        subprocess.run(["kill", pid], check=False)


@contextmanager
def node() -> Iterator[dict[str, str]]:
    """Node and the client that its tests run; yields the environment that names the folder of its modules."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise ServiceError("node and npm were not found: apt-get install nodejs npm")
    home = HERE.parent / "build" / "node"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "node_modules" / "fhir-kit-client" / "package.json").exists():
        (home / "package.json").write_text('{"name": "yifang-tests", "private": true}\n', "utf-8")
        command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"fhir-kit-client@{KIT}"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise ServiceError(f"npm install fhir-kit-client failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    yield {"YIFANG_TEST_NODE": str(home / "node_modules")}


SERVICES: dict[str, Callable[[], AbstractContextManager[dict[str, str]]]] = {"postgres": postgres, "hapi": hapi, "node": node}


def main(arguments: list[str]) -> int:
    """Command line; the exit code is the command's, or 3 when the service did not start."""
    try:
        if arguments == ["--find-postgres"]:
            print(postgres_bin())
            return 0
        at = arguments.index("--") if "--" in arguments else len(arguments)
        names, command = arguments[:at], arguments[at + 1 :]
        if not names or not command or not set(names) <= SERVICES.keys():
            print(__doc__, file=sys.stderr)
            return 2
        with ExitStack() as stack:
            environment = dict(os.environ)
            for name in names:
                environment |= stack.enter_context(SERVICES[name]())
            return subprocess.run(command, env=environment, check=False).returncode
    except ServiceError as e:
        print(f"tests.services: {e}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
