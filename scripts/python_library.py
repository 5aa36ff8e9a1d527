"""Makes a Python library available to a script of ours: in ${PATCHCORD_CACHE:-~/.cache/patchcord}/py, where
scripts/setup-test puts it; it is put there when it is missing. Exit status 77: it cannot be had on this machine."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

UNAVAILABLE = 77


def run_with(requirement: str, module: str, script: str) -> None:
    """Returns when `module` can be imported; else starts `script` again with a Python that can."""
    if os.environ.get("PATCHCORD_LIBRARY_READY") == module:
        return
    cache = Path(os.environ.get("PATCHCORD_CACHE") or Path.home() / ".cache/patchcord")
    python = cache / "py/bin/python"
    probe = [str(python), "-c", f"import {module}"]
    cache.mkdir(parents=True, exist_ok=True)
    # Tests run side by side: one installs, the others wait.
    with open(cache / "py.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if not python.exists():
                subprocess.run([sys.executable, "-m", "venv", str(cache / "py")], check=True, capture_output=True)
            if subprocess.run(probe, capture_output=True).returncode != 0:
                install = [str(python), "-m", "pip", "install", "-q", requirement]
                subprocess.run(install, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"") or b""
            sys.stderr.write(f"{requirement} cannot be installed: {error} {said.decode(errors='replace')[-400:]}\n")
            sys.exit(UNAVAILABLE)
    environment = {**os.environ, "PATCHCORD_LIBRARY_READY": module}
    os.execve(python, [str(python), script, *sys.argv[1:]], environment)
