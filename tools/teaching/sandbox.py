"""Run a kernel on a stranger's code, walled in by bubblewrap: the kernel `sandboxed`.

nbgrader starts this file as it would start ipykernel. The kernel sees the system's programs, this
Python, `helpers`, MNIST and what was handed in beside the notebook, all read-only; what it writes
goes to memory, is limited, and ends with it. It has no network, and speaks through sockets in a
folder of its own. `python sandbox.py --try` says whether bubblewrap works here.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY = 8 * 2**30  # address space of one process, in bytes
WRITTEN = 256 * 2**20  # what each place that can be written to holds, and any one file
TASKS = 64  # processes and threads; a kernel with torch has about twenty
SECONDS = 3600  # by the clock, for one notebook
# The user that root becomes, of a number that nobody has: another one for each kernel, as tasks are
# counted by user.
STRANGER = 1_000_000_000 + os.getpid()
SYSTEM = ["/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache"]
PASSED_ON = ["QUICK_RUN", "TQDM_DISABLE", "OMP_NUM_THREADS", "MNIST_REQUIRE_REAL", "LANG", "TZ"]
INSIDE = "/run/kernel"  # where the kernel finds its sockets


class NoSandboxError(Exception):
    """There is no sandbox to be had; the message says why."""


def _helpers() -> Path:
    return Path(importlib.util.find_spec("helpers").submodule_search_locations[0]).resolve()


def _visible() -> list[Path]:
    """Return what the kernel may read beside the system: this Python, helpers, MNIST."""
    project, paths = _helpers().parent, [Path(sys.prefix), Path(sys.base_prefix), _helpers()]
    if (project / "pyproject.toml").is_file():  # helpers looks for its data beside it
        found = [path for path in (project / "data").glob("*") if path.name != "runs"]
        paths += [project / "pyproject.toml", *found]
    if folder := os.environ.get("MNIST_DIR"):
        paths.append(Path(folder).expanduser().resolve())
    return [path for path in paths if path.exists()]


def _memory(place: Path | str) -> list[str]:
    return ["--perms", "1777", "--size", str(WRITTEN), "--tmpfs", str(place)]


def walls(folder: Path, work: Path) -> list[str]:
    """Return bubblewrap's command line, short of the program to run.

    Args:
        folder: where the sockets are to appear, seen as `INSIDE`.
        work: the working folder; the files in it can be read, notebooks excepted.
    """
    root = os.geteuid() == 0
    command = ["bwrap", "--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
    if root:  # root makes no user namespace: there it could not become someone else
        command += [f"--unshare-{what}" for what in ("pid", "net", "ipc", "uts")]
        for right in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):  # given up below
            command += ["--cap-add", right]
    else:
        command += ["--unshare-all"]
    for path in SYSTEM:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += [*_memory("/dev/shm"), *_memory("/tmp")]
    bound = [path for path in [*_visible(), work] if not path.is_relative_to("/usr")]
    parents = {parent for path in [*bound, Path(INSIDE)] for parent in path.parents}
    for parent in sorted(parents - {Path("/"), Path("/tmp")}):
        command += ["--perms", "755", "--dir", str(parent)]  # else they would be their owner's
    command += [*_memory(work), *_memory(_helpers().parent / "data")]
    for path in _visible():
        command += ["--ro-bind", str(path), str(path)]
    for path in work.iterdir():
        if path.suffix != ".ipynb":
            command += ["--ro-bind", str(path), str(path)]
    command += ["--bind", str(folder), INSIDE, "--remount-ro", "/dev", "--remount-ro", "/"]
    inside = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    inside |= {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/tmp"}
    inside |= {"USER": "student", "LOGNAME": "student", "SEARCH_WORKERS": "1"}
    inside |= {"PYTHONPATH": str(_helpers().parent), "NBGRADER_EXECUTION": "autograde"}
    inside |= {"OPENBLAS_NUM_THREADS": "1"}
    if "MNIST_DIR" in os.environ:
        inside["MNIST_DIR"] = str(Path(os.environ["MNIST_DIR"]).expanduser().resolve())
    for name, value in inside.items():
        command += ["--setenv", name, value]
    command += ["--chdir", str(work), "--"]
    if root:
        user = f"--reuid={STRANGER} --regid={STRANGER} --clear-groups --inh-caps=-all"
        command += ["setpriv", *user.split(), "--bounding-set=-all", "--no-new-privs"]
    limits = f"--as={MEMORY} --fsize={WRITTEN} --nproc={TASKS} --core=0"
    return [*command, "prlimit", *limits.split(), "timeout", "--kill-after=5", str(SECONDS)]


def tried() -> None:
    """Run nothing in a sandbox.

    Raises:
        NoSandboxError: it does not work.
    """
    if not shutil.which("bwrap"):
        raise NoSandboxError("bubblewrap (the command bwrap) is not installed")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        command = [*walls(Path(folder), Path(folder)), sys.executable, "-c", "import ipykernel"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if run.returncode:
        raise NoSandboxError(f"bubblewrap fails here: {run.stderr.strip()}")


def serve(connection: Path, options: list[str]) -> int:
    """Run a kernel in the sandbox until it ends; return its exit status.

    Args:
        connection: the connection file, which asks for sockets in the file system.
        options: ipykernel's, on top.
    """
    spoken = json.loads(connection.read_text(encoding="utf-8"))
    if spoken["transport"] != "ipc":
        raise NoSandboxError("the kernel has no network: set c.KernelManager.transport = 'ipc'")
    with tempfile.TemporaryDirectory(prefix="kernel", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for port in (value for key, value in spoken.items() if key.endswith("_port")):
            os.symlink(folder / f"socket-{port}", f"{spoken['ip']}-{port}")
        inner = folder / "connection.json"
        inner.write_text(json.dumps(spoken | {"ip": f"{INSIDE}/socket"}), encoding="utf-8")
        if os.geteuid() == 0:
            os.chown(folder, STRANGER, STRANGER)
            os.chown(inner, STRANGER, STRANGER)
        kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", f"{INSIDE}/{inner.name}"]
        command = [*walls(folder, Path.cwd()), *kernel, *options]
        unheard = subprocess.DEVNULL  # a stranger writes to no terminal of ours
        running = subprocess.Popen(command, stdout=unheard, stderr=unheard)
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        return running.wait()


if __name__ == "__main__":
    try:
        first, *others = sys.argv[1:]
        sys.exit(tried() if first == "--try" else serve(Path(first), others))
    except NoSandboxError as error:
        sys.exit(str(error))
