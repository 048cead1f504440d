"""An environment as a stranger has it: the wheel and what it declares, an empty home, and no network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

KEPT = (
    "CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TMPDIR", "TZ",
)  # fmt: skip
"""Variables of this process that commands in the fresh environment see; nothing of Python, pip, W&B or the checkout."""

NO_NETWORK = '''
"""Refuses every connection and look-up that leaves the machine, and writes down that it was tried."""

import socket

LOCAL = ("localhost", "::1", "0.0.0.0", "", None, socket.gethostname())


def guard(owner, name, host_of):
    original = getattr(owner, name)

    def guarded(*args, **kwargs):
        host = host_of(*args, **kwargs)
        host = host.decode() if isinstance(host, bytes) else host
        if host not in LOCAL and not host.startswith("127."):
            with open(LOG, "a", encoding="utf-8") as log:
                print(name, host, file=log)
            raise OSError(f"no network in this test: {name} {host}")
        return original(*args, **kwargs)

    setattr(owner, name, guarded)


def of_address(sock, *args):
    return args[-1][0] if sock.family in (socket.AF_INET, socket.AF_INET6) else None


for method in ("connect", "connect_ex", "sendto"):
    guard(socket.socket, method, of_address)
guard(socket, "getaddrinfo", lambda host, *args, **kwargs: host)
'''


class Fresh:
    """A virtual environment of its own, made in `folder` from the checkout's wheel.

    `run` runs a command in it; `python`, `site` (its site-packages), `home` and `wheel` are paths.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.python = folder / "venv" / "bin" / "python"
        self.log = folder / "connections.txt"
        self.wheel = self._build()
        self._install()
        asked = self.run(["python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
        self.site = Path(asked.stdout.strip())
        self._close_the_network()

    def run(
        self, command: str | Sequence[str], cwd: Path, timeout: float = 300, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in `cwd`, a string through bash and stopped at its first failing line; output is captured.

        `visionkit ...` and `python -m visionkit...` are those of the environment. `env` adds variables. Raises
        AssertionError when Python code tried to leave the machine, even when it went on without.
        """
        arguments = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else list(command)
        done = subprocess.run(
            arguments, cwd=cwd, env={**self._environment(), **(env or {})},
            capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if self.log.exists():
            tried = self.log.read_text(encoding="utf-8").splitlines()
            self.log.unlink()
            raise AssertionError(
                f"{command} tried to leave the machine: {'; '.join(tried)}\n{done.stdout}{done.stderr}"
            )
        return done

    def _environment(self) -> dict[str, str]:
        own = Path(sys.prefix, "bin")
        path = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != own]
        return {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "PATH": os.pathsep.join([str(self.python.parent), *path]),
            "HOME": str(self.home),
            "COLUMNS": "200",
        }

    def _build(self) -> Path:
        _succeed([sys.executable, "-m", "build", "--wheel", "--outdir", str(self.folder), str(ROOT)])
        (wheel,) = self.folder.glob("*.whl")
        return wheel

    def _install(self) -> None:
        # With the variables and settings of whoever runs the tests: they say where packages come from.
        self.home.mkdir()
        _succeed([sys.executable, "-m", "venv", str(self.folder / "venv")])
        _succeed([str(self.python), "-m", "pip", "install", "--no-compile", "--quiet", f"{self.wheel}[export]"])

    def _close_the_network(self) -> None:
        # A .pth file, because a distribution's own sitecustomize would hide one of ours.
        (self.site / "no_network.py").write_text(NO_NETWORK.replace("LOG", repr(str(self.log))), encoding="utf-8")
        (self.site / "no_network.pth").write_text("import no_network\n", encoding="utf-8")


def _succeed(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
