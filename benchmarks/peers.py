"""The servers that are measured, each in its best configuration, each with an empty folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

START_TIMEOUT_S = 60


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Peer:
    """A server process; `dicom` and `http` are its ports, `web` the root of its DICOMweb."""

    name: str
    aet: str
    command: list[str]
    dicom: int = 0
    http: int = 0
    web: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    seconds_to_ready: float = 0.0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Peer:
        environment = {**os.environ, "TCP_NODELAY": "1", **self.environment}
        started = time.perf_counter()
        self.process = subprocess.Popen(
            self.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for port in filter(None, (self.dicom, self.http)):
            self._wait_for(port)
        self.seconds_to_ready = time.perf_counter() - started
        return self

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at start with {self.process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.005)
            else:
                return
        raise RuntimeError(f"{self.name} did not listen on {port} within {START_TIMEOUT_S} s")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def resident_mb(self) -> float:
        """Resident memory of the process itself, in MB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000

    def __enter__(self) -> Peer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def gantry(folder: Path, **settings: str) -> Peer:
    """This checkout, through its own command."""
    dicom, http = free_port(), free_port()
    command = [sys.executable, "-m", "gantry", "serve", "--data", str(folder / "gantry")]
    command += ["--http", f"127.0.0.1:{http}", "--dicom", f"127.0.0.1:{dicom}"]
    environment = {f"GANTRY_{name.upper()}": value for name, value in settings.items()}
    return Peer("Gantry", "GANTRY", command, dicom, http, "/dicom-web", environment)


def orthanc(
    folder: Path, modalities: dict[str, tuple[str, int]] | None = None, postgres_port: int = 0
) -> Peer:
    """Debian's Orthanc with its DICOMweb plugin, durable as it comes, without its Explorer's extras.

    With its plugin for PostgreSQL where that listens on a port, for the database and user of the tests.
    """
    dicom, http = free_port(), free_port()
    storage = folder / "orthanc"
    storage.mkdir(parents=True, exist_ok=True)
    config = {
        "StorageDirectory": str(storage), "IndexDirectory": str(storage), "Plugins": [_orthanc_dicomweb()],
        "HttpPort": http, "DicomPort": dicom, "DicomAet": "ORTHANC", "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True, "DicomAlwaysAllowGet": True, "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowFind": True, "AuthenticationEnabled": False, "RemoteAccessAllowed": False,
        "HttpCompressionEnabled": False, "KeepAlive": True, "DicomThreadsCount": 8, "HttpThreadsCount": 16,
        "DicomModalities": {k: [k, *v] for k, v in (modalities or {}).items()},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "WadoRoot": "/wado"},
    }  # fmt: skip
    if postgres_port:
        plugin = orthanc_plugin("PostgreSQLIndex")
        assert plugin is not None
        config["Plugins"] = [_orthanc_dicomweb(), plugin]
        config["PostgreSQL"] = {
            "EnableIndex": True, "EnableStorage": False, "Host": "127.0.0.1", "Port": postgres_port,
            "Database": "postgres", "Username": "gantry", "Password": "", "Lock": False,
            "IndexConnectionsCount": 5,
        }  # fmt: skip
    path = storage / "orthanc.json"
    path.write_text(json.dumps(config))
    return Peer("Orthanc", "ORTHANC", ["Orthanc", str(path)], dicom, http, "/dicom-web")


def orthanc_plugin(name: str) -> str | None:
    """The file of one of Orthanc's plugins; None where it is not installed."""
    for folder in ("/usr/share/orthanc/plugins", "/usr/lib/orthanc"):
        found = sorted(Path(folder).glob(f"libOrthanc{name}.so*"))
        if found:
            return str(found[0])
    return None


def _orthanc_dicomweb() -> str:
    found = orthanc_plugin("DicomWeb")
    if found is None:
        raise RuntimeError("Orthanc's DICOMweb plugin is not installed (Debian package orthanc-dicomweb)")
    return found


def storescp(folder: Path) -> Peer:
    """DCMTK's receiver to a folder: no fsync, no index."""
    port = free_port()
    (folder / "storescp").mkdir(parents=True, exist_ok=True)
    command = ["storescp", "--fork", "-pdu", "131072", "-od", str(folder / "storescp"), "+B", str(port)]
    return Peer("DCMTK storescp", "STORESCP", command, port)


def sink() -> Peer:
    """A receiver of our own that throws away what it gets (`benchmarks.sink`): where a C-MOVE is sent to."""
    port = free_port()
    return Peer("sink", "SINK", [sys.executable, "-m", "benchmarks.sink", str(port)], port)


def dcmqrscp(folder: Path) -> Peer:
    """DCMTK's archive: one folder and an index file."""
    port = free_port()
    storage = folder / "dcmqrscp"
    storage.mkdir(parents=True, exist_ok=True)
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        "MaxPDUSize = 131072\nMaxAssociations = 16\nHostTable BEGIN\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQR {storage} RW (1000, 1024mb) ANY\nAETable END\n"
    )
    return Peer("dcmqrscp", "QR", ["dcmqrscp", "-c", str(config), str(port)], port)


def nginx(folder: Path) -> Peer:
    """nginx serving plain files: the floor that a web server may reach for."""
    http = free_port()
    root = folder / "nginx"
    root.mkdir(parents=True, exist_ok=True)
    config = root / "nginx.conf"
    user = "user root; " if os.geteuid() == 0 else ""  # else its workers may not read our folder
    config.write_text(
        f"{user}daemon off; worker_processes 2; pid {root}/pid; error_log {root}/error.log;\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n"
        f"  client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root};\n"
        f"  uwsgi_temp_path {root}; scgi_temp_path {root};\n"
        f"  open_file_cache max=1000; server {{ listen 127.0.0.1:{http}; root {root}; }} }}\n"
    )
    return Peer("nginx", "", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config)], http=http)


def versions() -> dict[str, str]:
    """What was measured, for the head of the results."""

    def first_line(*command: str) -> str:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        return (said.stdout or said.stderr).splitlines()[0].strip()

    return {
        "Python": sys.version.split()[0],
        "Orthanc": first_line("Orthanc", "--version"),
        "DCMTK": first_line("storescp", "--version"),
        "dcm2niix": first_line("dcm2niix", "-v") if shutil.which("dcm2niix") else "not installed",
        "nginx": first_line(shutil.which("nginx") or "/usr/sbin/nginx", "-v"),
        "TCP congestion control": _congestion_control(),
    }


def _congestion_control() -> str:
    try:
        default = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return "unknown"
    return f"{default}; reno for Gantry, which does not pace within the machine"
