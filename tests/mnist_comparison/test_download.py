"""Loading MNIST: the ways it works, and each way it can go wrong.

The files are small synthetic ones whose hashes replace the real ones; downloads come from a server
on this machine, or from a class in torchvision's place.
"""

import errno
import gzip
import hashlib
import http.server
import multiprocessing
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torchvision

from helpers.mnist_comparison import download, mnist
from tests.permissions import needs_modes, unprivileged

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = mnist.SHA256
RAW = Path("MNIST", "raw")
LONG = 300.0  # seconds that a server of this machine never takes, however busy it is
CLOSED = "http://127.0.0.1:1/"  # nobody listens there


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
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if name in zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


# --- folders that hold it ---


@pytest.mark.parametrize("zipped", [(), tuple(mnist.SHA256)])
@pytest.mark.parametrize("below", [Path(), RAW])
def test_plain_and_gzipped_files_in_either_layout(contents, tmp_path, zipped, below):
    fill(tmp_path / "data" / below, contents, zipped)
    data = mnist.load(tmp_path / "data", allow_download=False)
    assert data.is_real and data.source == "MNIST"
    assert data.train_images.shape == (50, 28, 28) and data.train_images.dtype == np.uint8
    assert data.test_labels.shape == (20,) and data.test_labels.dtype == np.int64
    assert data.train_images.tobytes() == contents[IMAGES][16:]
    assert bytes(data.test_labels.tolist()) == contents[TEST_LABELS][8:]
    data.train_images[0, 0, 0] = 1  # the arrays can be written to


def test_mnist_dir_comes_before_the_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(folder))
    assert mnist.load(tmp_path / "nothing", allow_download=False).is_real


def test_the_digest_is_that_of_the_content_not_of_the_packing(contents, folder, tmp_path):
    other = fill(tmp_path / "other", contents)
    first, second = (mnist.load(where, allow_download=False) for where in (folder, other))
    assert first.digest == second.digest != mnist.stand_in(train=5, test=5).digest
    assert len(first.digest) == 64


# --- MNIST_DIR that is wrong is an error, never passed over ---


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: (folder / LABELS).unlink(), f"MNIST_DIR is .*{LABELS} .*add what is miss"),
        (shutil.rmtree, "MNIST_DIR is .*sound, no folder to be seen: correct it or unset it"),
        (lambda folder: (folder / LABELS).write_bytes(b""), f"{LABELS} is truncated or altered"),
    ],
)
def test_mnist_dir_that_is_wrong(folder, monkeypatch, harm, told):
    harm(folder)
    monkeypatch.setenv("MNIST_DIR", str(folder))
    with pytest.raises(mnist.MnistError, match=told):
        mnist.load()


@needs_modes
def test_mnist_dir_that_may_not_be_looked_at(monkeypatch):
    with tempfile.TemporaryDirectory() as place:  # 0700, another user's
        monkeypatch.setenv("MNIST_DIR", f"{place}/mnist")
        with unprivileged(), pytest.raises(mnist.MnistError, match="no folder to be seen"):
            mnist.load()


def test_mnist_dir_of_a_user_that_is_not_there(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", "~nobody-of-that-name/mnist")
    with pytest.raises(mnist.MnistError, match="no folder to be seen"):
        mnist.load()


# --- damaged files ---


def flipped(content):
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


BROKEN_PACKING = b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 50
DAMAGE = {
    "truncated gz": (IMAGES, ".gz", lambda c: gzip.compress(c)[:-30], "cannot be unpacked"),
    "packing broken": (IMAGES, ".gz", lambda c: BROKEN_PACKING, "cannot be unpacked"),
    "no gz at all": (IMAGES, ".gz", lambda c: b"<html>Log in first</html>", "cannot be unpacked"),
    "gz of other content": (IMAGES, ".gz", lambda c: gzip.compress(flipped(c)), "SHA-256"),
    "altered": (LABELS, "", flipped, "the SHA-256 of its 58 bytes"),
    "empty": (LABELS, "", lambda c: b"", "the SHA-256 of its 0 bytes"),
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


# --- permissions ---


@pytest.fixture
def open_folder(contents):
    """A sound folder that everybody may enter (pytest's own belong to one user)."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield fill(Path(place) / "data", contents)
        os.chmod(Path(place) / "data", 0o755)


@needs_modes
def test_files_and_folders_without_permission(open_folder, torchvision_does):
    open_folder.chmod(0o555)
    with unprivileged():
        assert mnist.load(open_folder).is_real  # read-only is enough
    (open_folder / LABELS).chmod(0)
    with unprivileged(), pytest.raises(mnist.MnistError, match=r"\(Permission denied\): give"):
        mnist.load(open_folder)
    open_folder.chmod(0o755)
    (open_folder / LABELS).unlink()
    open_folder.chmod(0o555)
    torchvision_does(lambda raw: None)
    told = r"cannot be stored in .* \(Permission denied\): make room there and make it writable, or"
    with unprivileged(), pytest.raises(mnist.MnistError, match=told):
        mnist.load(open_folder)


# --- no network ---


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Willing(Quiet):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()


class Refusing(Quiet):
    def do_HEAD(self):
        self.send_error(403)


class Garbling(Quiet):
    def do_HEAD(self):
        self.wfile.write(b"220 this is not a web server\r\n")


class Stopping(Willing):
    """Sends half of a file, and then nothing until the test is over."""

    over = threading.Event()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(500 * b".")
        self.wfile.flush()
        self.over.wait()


class Silent(Stopping):
    def do_HEAD(self):
        self.over.wait()


@pytest.fixture
def serving():
    """Starts servers; takes a handler and returns an address."""
    servers = []

    def start(handler):
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        servers[-1].daemon_threads = True
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,)).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    Stopping.over.set()
    for server in servers:
        server.shutdown()
        server.server_close()
    Stopping.over.clear()


@pytest.fixture
def offer(monkeypatch):
    """Lets torchvision download from these servers."""

    def set_up(mirrors):
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", [(f"{IMAGES}.gz", "")])
        monkeypatch.setattr(download, "PROBE_SECONDS", LONG)

    return set_up


def test_without_network_the_stand_in_is_announced(tmp_path, offer, capsys):
    offer([CLOSED])
    data = mnist.load(tmp_path / "data")
    assert not data.is_real and len(data.test_labels) == 5
    told = capsys.readouterr().out
    assert told.startswith("Digits drawn from fonts stand in for MNIST (none of the 1 servers")
    assert "set MNIST_DIR" in told and told.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_without_a_working_torchvision_the_stand_in_is_announced(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    assert not mnist.load(tmp_path).is_real
    assert "torchvision cannot be imported" in capsys.readouterr().out


def test_without_network_it_is_an_error_where_mnist_is_required(tmp_path, offer, monkeypatch):
    offer([CLOSED])
    monkeypatch.setenv("MNIST_REQUIRE_REAL", "1")
    with pytest.raises(mnist.MnistError, match=r"had \(none of .* required: put its four"):
        mnist.load(tmp_path)


def test_downloading_can_be_ruled_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_REQUIRE_REAL", "0")
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("it was downloaded"))
    assert not mnist.load(tmp_path, allow_download=False).is_real
    assert f"{tmp_path} lacks {IMAGES}, and it was not to be downloaded" in capsys.readouterr().out


def test_servers_that_do_not_answer_properly_are_given_up(
    tmp_path, offer, serving, monkeypatch, capsys
):
    offer([CLOSED, serving(Silent), serving(Refusing), serving(Garbling), "no address/"])
    monkeypatch.setattr(download, "PROBE_SECONDS", 0.5)
    assert not mnist.load(tmp_path).is_real
    assert "none of the 5 servers that offer it answered" in capsys.readouterr().out


def test_a_name_that_is_looked_up_for_ever_is_given_up(tmp_path, offer, monkeypatch):
    release = threading.Event()
    offer(["http://mnist.invalid/"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait() and [])
    monkeypatch.setattr(download, "PROBE_SECONDS", 0.2)
    assert not mnist.load(tmp_path).is_real
    release.set()


def test_probe_and_silence_take_less_than_20_seconds_in_all():
    assert download.PROBE_SECONDS + 2 * download.SILENT_SECONDS < 20  # https, then http


# --- downloads that go wrong on the way ---


@pytest.fixture
def torchvision_does(serving, monkeypatch):
    """Puts a class that does this with its folder in the place of torchvision's."""

    def set_up(act):
        class MNIST:
            mirrors, resources = [serving(Willing)], [("file", "")]

            def __init__(self, root, download):
                raw = Path(root) / RAW
                raw.mkdir(parents=True)
                (raw / IMAGES).write_bytes(b"half")
                act(raw)

        monkeypatch.setattr(torchvision.datasets, "MNIST", MNIST)
        monkeypatch.setattr(download, "PROBE_SECONDS", LONG)

    return set_up


def test_a_download_that_stands_still_is_given_up(tmp_path, offer, serving, monkeypatch, capsys):
    offer([serving(Stopping)])
    monkeypatch.setattr(download, "SILENT_SECONDS", 0.5)
    assert not mnist.load(tmp_path).is_real
    out, err = capsys.readouterr()
    assert "timed out" in out
    assert err == "" and list(tmp_path.iterdir()) == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_is_an_error(tmp_path, torchvision_does, number):
    torchvision_does(Mock(side_effect=OSError(number, os.strerror(number))))
    told = rf"MNIST cannot be stored in .* \({os.strerror(number)}\): make room"
    with pytest.raises(mnist.MnistError, match=told):
        mnist.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_download_says_why(tmp_path, torchvision_does, capsys):
    torchvision_does(Mock(side_effect=RuntimeError("Error downloading:\nserver went away")))
    assert not mnist.load(tmp_path).is_real
    told = "the download failed: RuntimeError: Error downloading: server went away"
    assert told in capsys.readouterr().out.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_mnist_is_not_kept(tmp_path, contents, torchvision_does, capsys):
    altered = {name: flipped(content) for name, content in contents.items()}
    torchvision_does(lambda raw: fill(raw, altered))
    assert not mnist.load(tmp_path).is_real
    assert "what was downloaded is not MNIST" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(tmp_path, torchvision_does):
    torchvision_does(Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        mnist.load(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert socket.getdefaulttimeout() is None


def test_a_file_that_another_process_has_just_placed_counts_as_moved(
    tmp_path, contents, torchvision_does, monkeypatch
):
    """On Windows a file cannot be replaced while it is read."""
    torchvision_does(lambda raw: fill(raw, contents))
    monkeypatch.setattr(os, "replace", Mock(side_effect=PermissionError))
    with pytest.raises(mnist.MnistError, match="cannot be stored"):
        mnist.load(tmp_path)
    fill(tmp_path / RAW, contents)
    assert download.fetch(tmp_path, list(contents), mnist._read_all).is_real


# --- and downloads that succeed ---


def load_from(mirrors, packed, hashes, home):
    """Return the digest of what is loaded; run in a process of its own."""
    torchvision.datasets.MNIST.mirrors = mirrors
    torchvision.datasets.MNIST.resources = packed
    mnist.SHA256.update(hashes)
    download.PROBE_SECONDS = download.SILENT_SECONDS = LONG
    return mnist.load(home).digest


def test_two_processes_at_once_download_through_torchvision(tmp_path, contents, serving):
    """The whole way, with the real torchvision, into a path with a space and beyond ASCII."""
    packed = {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}
    (tmp_path / "server").mkdir()
    for name, data in packed.items():
        (tmp_path / "server" / name).write_bytes(data)
    home, halves = tmp_path / "Grüße an alle" / "data", []
    address = serving(partial(Quiet, directory=tmp_path / "server"))
    resources = [(name, hashlib.md5(data).hexdigest()) for name, data in packed.items()]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        given = ([CLOSED, address], resources, mnist.SHA256, home)
        both = [pool.submit(load_from, *given) for _ in range(2)]
        while not all(one.done() for one in both):
            for name, content in contents.items():
                if (home / RAW / name).exists() and (home / RAW / name).read_bytes() != content:
                    halves.append(name)
            time.sleep(0.001)
    assert halves == []
    assert {one.result() for one in both} == {mnist.load(home, allow_download=False).digest}
    assert [path.name for path in home.iterdir()] == ["MNIST"]
    assert sorted(path.name for path in (home / RAW).iterdir()) == sorted(contents)
