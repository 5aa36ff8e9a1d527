"""What the load benches share: the load tool of ../shared, the program as a process, its memory and time."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("PATCHCORD_CACHE", pathlib.Path.home() / ".cache/patchcord"))
SHARED = pathlib.Path(os.environ.get("PATCHCORD_SHARED", ROOT.parent / "shared"))
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
READY_S = 30


def tool():
    """The load tool, built from ../shared in the cache; None where it is missing."""
    source = SHARED / "tools/trigload"
    if not (source / "Cargo.toml").is_file():
        return None
    desk = CACHE / "trigload"
    desk.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, desk / "source", dirs_exist_ok=True)
    built = desk / "target/release/trigload"
    newest = max(file.stat().st_mtime for file in (source / "src").iterdir())
    if not built.is_file() or built.stat().st_mtime < newest:
        subprocess.run(
            ["cargo", "build", "--release", "--quiet", "--target-dir", desk / "target"],
            cwd=desk / "source", check=True)
    return built


def program(given):
    """The release build, or the program that was given."""
    binary = pathlib.Path(given) if given else TARGET / "release/patchcord"
    if not binary.is_file():
        raise SystemExit(f"{binary} is missing: cargo build --release")
    return binary.resolve()


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(address):
    host, number = address.rsplit(":", 1)
    for _ in range(READY_S * 100):
        try:
            socket.create_connection((host, int(number)), 0.2).close()
            return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"nothing listens on {address}")


def machine():
    with open("/proc/cpuinfo") as info:
        names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    return f"{os.cpu_count()} cores ({names[0] if names else 'unknown'}), load {os.getloadavg()[0]:.1f}"


class Server:
    """The program on a data folder. Killed at the end of a `with`."""

    def __init__(self, binary, folder, **settings):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.environment = os.environ | {
            "PATCHCORD_READY_LINE": "1",
            "PATCHCORD_SERVER__BIND": "127.0.0.1:0",
            "PATCHCORD_STORE__URL": f"sqlite:{folder}/patchcord.db",
            "PATCHCORD_ADMIN__EMAIL": "owner@example.com",
            "PATCHCORD_ADMIN__PASSWORD": "correct horse battery staple",
            "PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS": "127.0.0.1",
            "PATCHCORD_ASR__MODELS_DIR": f"{folder}/no-models",
        } | settings
        self.start()

    def start(self):
        """Starts the process and waits until it is ready; returns how long that took, in seconds."""
        began = time.monotonic()
        self.log = open(self.folder / "patchcord.log", "a")
        self.process = subprocess.Popen(
            [self.binary, "serve"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        for line in self.process.stdout:
            if line.startswith("PATCHCORD_READY "):
                self.ready = json.loads(line.removeprefix("PATCHCORD_READY "))
                self.url = self.ready["url"]
                return time.monotonic() - began
        raise SystemExit(f"the server did not get ready: {(self.folder / 'patchcord.log').read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def call(self, path, body=None, missing_ok=False):
        request = urllib.request.Request(
            self.url + path, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.ready['access_token']}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if missing_ok and error.code in (404, 405):
                return None
            raise SystemExit(f"{path}: {error.code} {error.read().decode()}") from error

    def measure(self, name):
        """One value of /metrics, 0 while it is not there."""
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        return 0.0

    def memory_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
        return kib / 1024
