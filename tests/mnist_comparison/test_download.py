"""Loading MNIST: the ways it works, and each way it can go wrong.

The files are small synthetic ones whose hashes replace the real ones. Downloads come from a server
on this machine; where only the watching of the download is tested, a few lines stand in for
torchvision in the process that downloads, since importing torchvision takes seconds.
"""

import contextlib
import errno
import gzip
import hashlib
import http.server
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torchvision

from helpers import settings
from helpers.mnist_comparison import download, mnist
from tests.permissions import needs_modes, unprivileged

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = mnist.SHA256
RAW = Path("MNIST", "raw")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in ("MNIST_DIR", "MNIST_REQUIRE_REAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="session")
def contents():
    """The four files in small: 50 images to train on and 20 to test on."""
    rng = np.random.default_rng(0)
    made = {}
    for name in mnist.SHA256:
        shape = (50 if "train" in name else 20,) + ((28, 28) if "idx3" in name else ())
        header = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
        made[name] = header + rng.integers(10, size=shape, dtype=np.uint8).tobytes()
    return made


@pytest.fixture(autouse=True)
def small_data(contents, monkeypatch):
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(mnist, "SHA256", hashes)
    monkeypatch.setattr(mnist, "stand_in", partial(mnist.stand_in, train=5, test=5))


@pytest.fixture
def folder(contents, tmp_path):
    """A sound folder, two files of it gzipped."""
    return fill(tmp_path / "sound", contents, zipped=(IMAGES, TEST_LABELS))


def fill(folder, contents, zipped=()):
    folder.mkdir(parents=True)
    for name, content in contents.items():
        if name in zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def left_over(home):
    return sorted(path.name for path in home.glob(".download-*"))


# --- folders that hold it ---


@pytest.mark.parametrize("zipped", [(), tuple(mnist.SHA256)])
@pytest.mark.parametrize("below", [Path(), RAW])
def test_plain_and_gzipped_files_in_either_layout(contents, tmp_path, zipped, below):
    fill(tmp_path / "data" / below, contents, zipped)
    data = mnist.load(tmp_path / "data", allow_download=False, require_real=True)
    assert data.is_real and data.source == "MNIST"
    assert data.train_images.shape == (50, 28, 28) and data.train_images.dtype == np.uint8
    assert data.test_labels.shape == (20,) and data.test_labels.dtype == np.int64
    assert data.train_images.tobytes() == contents[IMAGES][16:]
    assert bytes(data.test_labels.tolist()) == contents[TEST_LABELS][8:]
    data.train_images[0, 0, 0] = 1  # the arrays can be written to


def test_mnist_dir_comes_before_the_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(folder))
    assert mnist.load(tmp_path / "nothing", allow_download=False).is_real


def test_the_folder_is_the_projects_data_unless_named():
    assert settings.data_folder() == Path(__file__).resolve().parents[2] / "data"


def test_the_digest_is_that_of_the_content_not_of_the_packing(contents, folder, tmp_path):
    other = fill(tmp_path / "other", contents)
    first, second = (mnist.load(where, allow_download=False) for where in (folder, other))
    assert first.digest == second.digest != mnist.stand_in(train=5, test=5).digest
    assert len(first.digest) == 64


# --- MNIST_DIR that is wrong is an error, never passed over ---


def test_mnist_dir_with_a_file_missing(folder, monkeypatch):
    (folder / f"{TEST_LABELS}.gz").unlink()
    monkeypatch.setenv("MNIST_DIR", str(folder))
    with pytest.raises(mnist.MnistError, match=rf"MNIST_DIR is .*{TEST_LABELS} .*add what is miss"):
        mnist.load()


def test_mnist_dir_that_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "gone"))
    with pytest.raises(mnist.MnistError, match="gone, which is no folder: correct it or unset it"):
        mnist.load()


def test_mnist_dir_with_a_damaged_file(folder, monkeypatch):
    (folder / LABELS).write_bytes(b"")
    monkeypatch.setenv("MNIST_DIR", str(folder))
    with pytest.raises(mnist.MnistError, match=f"{LABELS} is truncated or altered"):
        mnist.load()


# --- damaged files ---


def flipped(content):
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


DAMAGE = {
    "truncated gz": (IMAGES, ".gz", lambda c: gzip.compress(c)[:-30], "cannot be unpacked"),
    "altered gz": (IMAGES, ".gz", lambda c: flipped(gzip.compress(c)), "cannot be unpacked"),
    "packing broken": (
        IMAGES,
        ".gz",
        lambda c: b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 50,
        "unpack",
    ),
    "no gz at all": (IMAGES, ".gz", lambda c: b"<html>Log in first</html>", "cannot be unpacked"),
    "gz of other content": (IMAGES, ".gz", lambda c: gzip.compress(flipped(c)), "SHA-256"),
    "truncated": (LABELS, "", lambda c: c[:-1], "of 50 bytes it holds 49"),
    "longer": (LABELS, "", lambda c: c + b"\0", "of 50 bytes it holds 51"),
    "altered": (LABELS, "", flipped, "SHA-256"),
    "empty": (LABELS, "", lambda c: b"", "header"),
    "labels in place of images": (TEST_IMAGES, "", lambda c: b"\0\0\x08\x01" + c[4:], "header"),
    "other element type": (TEST_IMAGES, "", lambda c: b"\0\0\x0d\x03" + c[4:], "header"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_and_left_as_it_is(folder, contents, damage):
    name, suffix, harm, reason = DAMAGE[damage]
    path = folder / f"{name}{suffix}"
    path.write_bytes(harm(contents[name]))
    before = path.read_bytes()
    with pytest.raises(mnist.MnistError) as caught:
        mnist.load(folder)
    told = str(caught.value)
    assert told.startswith(f"{path} is truncated or altered (") and reason in told
    assert told.endswith("delete it and load MNIST again to have it downloaded.")
    assert "\n" not in told and path.read_bytes() == before


def test_a_header_that_lies_is_caught_even_where_the_hash_agrees(folder, contents, monkeypatch):
    content = struct.pack(">2I", 0x801, 1_000_000) + contents[LABELS][8:]
    (folder / LABELS).write_bytes(content)
    monkeypatch.setitem(mnist.SHA256, LABELS, hashlib.sha256(content).hexdigest())
    with pytest.raises(mnist.MnistError, match="of 1000000 bytes it holds 50"):
        mnist.load(folder)


def test_no_more_is_unpacked_than_mnist_can_hold(folder, monkeypatch):
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(b"\0" * 10**6))
    monkeypatch.setattr(mnist, "LARGEST", 10**5)
    assert len(mnist._content(folder / f"{IMAGES}.gz")) == 10**5


# --- permissions ---


@pytest.fixture
def open_folder(contents):
    """A sound folder that everybody may enter (pytest's own belong to one user)."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        home = fill(Path(place) / "data", contents)
        yield home
        os.chmod(home, 0o755)


@needs_modes
def test_an_unreadable_file(open_folder):
    (open_folder / LABELS).chmod(0)
    with unprivileged(), pytest.raises(mnist.MnistError) as caught:
        mnist.load(open_folder)
    assert f"{LABELS} cannot be read (Permission denied): give yourself" in str(caught.value)


def test_a_file_on_a_failing_disk(folder, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(mnist.MnistError, match="cannot be read .*: give yourself permission"):
        mnist._content(folder / LABELS)


@needs_modes
def test_a_read_only_folder_that_holds_it_is_fine(open_folder):
    open_folder.chmod(0o555)
    with unprivileged():
        assert mnist.load(open_folder).is_real


@needs_modes
@pytest.mark.parametrize("asked", [None, True])
def test_a_read_only_folder_to_download_into(open_folder, monkeypatch, asked):
    (open_folder / LABELS).unlink()
    open_folder.chmod(0o555)
    monkeypatch.setattr(download, "_answering", lambda mirrors, file: list(mirrors))
    with unprivileged(), pytest.raises(mnist.MnistError) as caught:
        mnist.load(open_folder, require_real=asked)
    told = str(caught.value)
    assert told.startswith(
        f"MNIST cannot be stored in {open_folder} (Permission denied): make room"
    )
    assert "make it writable, or put its four files" in told


def test_a_file_system_that_is_read_only(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(download, "_answering", lambda mirrors, file: list(mirrors))
    monkeypatch.setattr(tempfile, "mkdtemp", fail)
    with pytest.raises(mnist.MnistError, match="cannot be stored in .*: make room there"):
        mnist.load(tmp_path)


# --- no network ---


@pytest.fixture
def offer(monkeypatch):
    """Lets torchvision download these files from these servers."""

    def set_up(mirrors, packed=None):
        packed = packed or {f"{IMAGES}.gz": b""}
        resources = [(name, hashlib.md5(data).hexdigest()) for name, data in packed.items()]
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)

    return set_up


@pytest.fixture
def silent():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def closed():
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


def test_without_network_the_stand_in_is_announced(tmp_path, offer, closed, capsys):
    offer([closed])
    data = mnist.load(tmp_path / "data")
    assert not data.is_real and len(data.test_labels) == 5
    told = capsys.readouterr().out
    assert told.startswith("Digits drawn from fonts stand in for MNIST (none of the 1 servers")
    assert "set MNIST_DIR" in told and told.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_without_network_it_is_an_error_where_mnist_is_required(
    tmp_path, offer, closed, monkeypatch, how
):
    offer([closed])
    monkeypatch.setenv("MNIST_REQUIRE_REAL", "1" if how == "environment" else "0")
    with pytest.raises(
        mnist.MnistError, match=r"cannot be had \(none of .* required: put its four"
    ):
        mnist.load(tmp_path, require_real=True if how == "argument" else None)


def test_the_argument_overrules_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_REQUIRE_REAL", "1")
    assert not mnist.load(tmp_path, require_real=False, allow_download=False).is_real


def test_downloading_can_be_ruled_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("it was downloaded"))
    assert not mnist.load(tmp_path, allow_download=False).is_real
    assert f"{tmp_path} lacks {IMAGES}, and it was not to be downloaded" in capsys.readouterr().out


def test_a_network_that_does_not_answer_is_given_up(tmp_path, offer, silent, monkeypatch):
    offer([silent, silent + "again/"])
    monkeypatch.setattr(download, "PROBE_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(mnist.MnistError, match="none of the 2 servers that offer it answered"):
        mnist.load(tmp_path, require_real=True)
    assert time.monotonic() - start < 5


def test_a_name_that_is_looked_up_forever_is_given_up(tmp_path, offer, monkeypatch):
    release = threading.Event()

    def hang(*_, **__):
        release.wait(60)
        raise socket.gaierror("no such name")

    offer(["http://mnist.invalid/"])
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(download, "PROBE_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(mnist.MnistError, match="none of the 1 servers"):
        mnist.load(tmp_path, require_real=True)
    assert time.monotonic() - start < 5
    release.set()


def test_probe_and_standstill_take_less_than_20_seconds_in_all():
    assert download.PROBE_SECONDS + download.STALL_SECONDS < 20


@contextlib.contextmanager
def serving(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Refusing(Quiet):
    def do_HEAD(self):
        self.send_error(403)


class Garbling(Quiet):
    def do_HEAD(self):
        self.wfile.write(b"220 this is not a web server\r\n")


@pytest.mark.parametrize("handler", [Refusing, Garbling])
def test_servers_that_answer_something_else_do_not_count(handler):
    with serving(handler) as address:
        assert download._answering([address, "no address/"], f"{IMAGES}.gz") == []


# --- downloads that go wrong on the way ---


@pytest.fixture
def torchvision_does(tmp_path_factory, monkeypatch):
    """Puts a class with this body in the place of torchvision's, for the downloading process."""

    def set_up(*lines):
        package = tmp_path_factory.mktemp("fake") / "torchvision"
        package.mkdir()
        (package / "__init__.py").touch()
        head = ["import errno, os, time", "class MNIST:", "    def __init__(self, root, download):"]
        head += ["        raw = os.path.join(root, 'MNIST', 'raw')", "        os.makedirs(raw)"]
        body = [f"        {line}" for line in lines]
        (package / "datasets.py").write_text("\n".join(head + body), encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        monkeypatch.setattr(download, "_answering", lambda mirrors, file: list(mirrors))

    return set_up


PART = "open(os.path.join(raw, 'train-images-idx3-ubyte'), 'wb').write(b'half')"


def test_a_download_that_stands_still_is_given_up(tmp_path, torchvision_does, monkeypatch, capsys):
    torchvision_does(PART, "time.sleep(60)")
    monkeypatch.setattr(download, "STALL_SECONDS", 0.5)
    start = time.monotonic()
    assert not mnist.load(tmp_path).is_real
    assert time.monotonic() - start < 20
    assert "the download stood still and was given up" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_torchvision_that_never_starts_is_given_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "_answering", lambda mirrors, file: list(mirrors))
    monkeypatch.setattr(download, "PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(download, "START_SECONDS", 0.3)
    assert not mnist.load(tmp_path).is_real
    assert "stood still" in capsys.readouterr().out


def test_a_slow_download_goes_on_as_long_as_it_advances(tmp_path, torchvision_does, folder):
    shutil.copytree(folder, tmp_path / "source")
    torchvision_does(
        "import shutil",
        "for n in range(15):",
        "    open(os.path.join(raw, 'slow'), 'ab').write(b'.')",
        "    time.sleep(0.1)",
        f"shutil.copytree({str(tmp_path / 'source')!r}, raw, dirs_exist_ok=True)",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "STALL_SECONDS", 1.0)
        download._run(str(tmp_path), ["http://nowhere/"], [])
    assert (tmp_path / RAW / LABELS).read_bytes() == (folder / LABELS).read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_is_an_error(tmp_path, torchvision_does, number):
    torchvision_does(PART, f"raise OSError({number}, 'write failed')")
    with pytest.raises(mnist.MnistError) as caught:
        mnist.load(tmp_path)
    told = str(caught.value)
    assert told.startswith(
        f"MNIST cannot be stored in {tmp_path} ({os.strerror(number)}): make room"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failing_download_says_why(tmp_path, torchvision_does, capsys):
    torchvision_does(PART, "raise RuntimeError('Error downloading:\\nserver went away')")
    assert not mnist.load(tmp_path).is_real
    told = capsys.readouterr().out.splitlines()[-1]
    assert "the download failed: RuntimeError: Error downloading: server went away" in told
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_crashes_is_not_taken_for_a_success(tmp_path, torchvision_does, capsys):
    torchvision_does(PART, "os._exit(3)")
    assert not mnist.load(tmp_path).is_real
    assert "the download failed" in capsys.readouterr().out


def test_what_is_not_mnist_is_not_kept(tmp_path, torchvision_does, capsys):
    names = [IMAGES, LABELS, TEST_IMAGES, TEST_LABELS]
    torchvision_does(f"for name in {names}:", "    open(os.path.join(raw, name), 'wb').write(b'x')")
    assert not mnist.load(tmp_path).is_real
    assert "what was downloaded is not MNIST" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(tmp_path, torchvision_does, monkeypatch):
    started = []
    start = subprocess.Popen

    def remember(*args, **kwargs):
        started.append(start(*args, **kwargs))
        return started[0]

    def interrupt(process, folder):
        while not download._size(folder) > 3:
            time.sleep(0.02)
        raise KeyboardInterrupt

    torchvision_does(PART, "time.sleep(60)")
    monkeypatch.setattr(subprocess, "Popen", remember)
    monkeypatch.setattr(download, "_finishes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mnist.load(tmp_path)
    assert started[0].poll() is not None
    assert list(tmp_path.iterdir()) == []


def test_what_killed_downloads_left_is_never_read_and_goes_after_a_day(
    tmp_path, contents, torchvision_does
):
    for name, age in ((".download-old", 2 * download.DAY), (".download-new", 60)):
        fill(tmp_path / name / RAW, contents)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    torchvision_does("raise RuntimeError('no')")
    assert not mnist.load(tmp_path).is_real
    assert left_over(tmp_path) == [".download-new"]


# --- and downloads that succeed ---


def test_two_at_once_download_through_torchvision(tmp_path, contents, offer):
    """The whole way, with the real torchvision, into a path with a space and beyond ASCII."""
    packed = {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}
    (tmp_path / "server").mkdir()
    for name, data in packed.items():
        (tmp_path / "server" / name).write_bytes(data)
    home, loaded, halves = tmp_path / "Grüße an alle" / "data", [], []
    with serving(partial(Quiet, directory=tmp_path / "server")) as address:
        offer(["http://127.0.0.1:1/", address], packed)
        threads = [
            threading.Thread(target=lambda: loaded.append(mnist.load(home, require_real=True)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for name, content in contents.items():
                if (home / RAW / name).exists() and (home / RAW / name).read_bytes() != content:
                    halves.append(name)
            time.sleep(0.001)
    assert halves == []
    assert [data.is_real for data in loaded] == [True, True]
    assert loaded[0].digest == loaded[1].digest
    assert sorted(path.name for path in home.iterdir()) == ["MNIST"]
    assert sorted(path.name for path in (home / RAW).iterdir()) == sorted(contents)
    assert mnist.load(home, allow_download=False).is_real


def test_two_processes_at_once(tmp_path, contents, torchvision_does, monkeypatch):
    """Processes that start together, and whose downloads overlap, both end with all four files."""
    source = fill(tmp_path / "source", contents)
    torchvision_does(
        "import shutil",
        "time.sleep(0.3)",
        f"shutil.copytree({str(source)!r}, raw, dirs_exist_ok=True)",
    )
    code = (
        "import sys, types; from pathlib import Path;"
        "from helpers.mnist_comparison import download;"
        "download._answering = lambda mirrors, file: list(mirrors);"
        "names = sys.argv[2:];"
        "read = lambda place: sum((place / 'MNIST/raw' / n).stat().st_size for n in names);"
        "print(download.fetch(Path(sys.argv[1]), names, read), read(Path(sys.argv[1])))"
    )
    fake = Path(os.environ["PYTHONPATH"]) / "torchvision" / "datasets.py"
    fake.write_text(
        fake.read_text(encoding="utf-8").replace(
            "class MNIST:", "class MNIST:\n    mirrors, resources = ['http://x/'], [('x', 'x')]"
        ),
        encoding="utf-8",
    )
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(mnist.__file__).parents[2])])
    monkeypatch.setenv("PYTHONPATH", path)
    command = [sys.executable, "-c", code, str(tmp_path / "data"), *contents]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    size = sum(len(content) for content in contents.values())
    for process in both:
        assert process.communicate(timeout=60)[0].splitlines()[-1] == f"{size} {size}"
        assert process.returncode == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["MNIST"]


@needs_modes
def test_a_file_that_another_process_has_just_placed_counts_as_moved(tmp_path, monkeypatch):
    """On Windows a file cannot be replaced while it is read."""

    def in_use(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", in_use)
    (tmp_path / "target").mkdir()
    with pytest.raises(PermissionError):
        download._move(["a"], tmp_path, tmp_path / "target")
    (tmp_path / "target" / "a").touch()
    download._move(["a"], tmp_path, tmp_path / "target")
