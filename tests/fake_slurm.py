"""Stand in for SLURM's commands: a job is its script run here, again when it is put back into the queue."""

from __future__ import annotations

import sys
from pathlib import Path

JOB = "4217"

_SBATCH = """#!{python}
import os, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
(here / "script.sh").write_text(pathlib.Path(sys.argv[-1]).read_text())
run = f"while rm -f {{here}}/again; bash {{here}}/script.sh; test -e {{here}}/again; do :; done; touch {{here}}/over"
if os.environ.get("FAKE_SLURM_RUNS"):
    env = {{**os.environ, "SLURM_JOB_ID": "{job}"}}
    subprocess.Popen(["bash", "-c", run], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("Submitted batch job {job}")
"""
_SRUN = """#!{python}
import os, pathlib, re, subprocess, sys
here = pathlib.Path(__file__).parent
script = (here / "script.sh").read_text()
count = int(re.search(r"ntasks-per-node=(\\d+)", script)[1])
words = sys.argv[1:]
files = [words.pop(words.index(flag) + 1) for flag in ("--output", "--error")]
command = [word for word in words if not word.startswith("--") or word == "--"]
common = {{"SLURM_NTASKS": str(count), "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0"}}
common["SLURM_JOB_NODELIST"] = "localhost"
tasks = []
for rank in range(count):
    env = {{**os.environ, **common, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}}
    out, err = (open(name.replace("%j", "{job}").replace("%t", str(rank)), "a") for name in files)
    tasks.append(subprocess.Popen(command, env=env, stdout=out, stderr=err))
(here / "tasks").write_text(" ".join(str(task.pid) for task in tasks))
for task in tasks:
    task.wait()
(here / "tasks").unlink()
"""
_SCONTROL = """#!{python}
import pathlib, sys
if sys.argv[1] == "requeue":
    (pathlib.Path(__file__).parent / "again").touch()
elif sys.argv[1:3] == ["show", "hostnames"]:
    print("localhost")
"""


def install(folder: Path) -> Path:
    """Write the commands into a folder, to be put in front of PATH; what sbatch takes is left there as `script.sh`."""
    folder.mkdir()
    for name, text in {"sbatch": _SBATCH, "srun": _SRUN, "scontrol": _SCONTROL}.items():
        (folder / name).write_text(text.format(python=sys.executable, job=JOB))
        (folder / name).chmod(0o755)
    return folder
