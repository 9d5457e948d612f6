"""Downloads from a local server that cuts, ignores ranges, lies, or is not there."""

import hashlib
import http.server
import io
import re
import threading
import zipfile
from pathlib import PurePosixPath

import numpy as np
import pytest
from PIL import Image

from hccr_lib.datasets import Sample, download, load, sources, write_gnt
from hccr_lib.datasets.download import DownloadError, unpack

CONTENT = bytes(np.random.default_rng(0).integers(0, 256, 300_000, np.uint8))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `cuts` says after how many bytes each of the next answers breaks off."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/file.bin": CONTENT}
        self.cuts = []
        self.ranges = True
        self.lengths = True
        self.requests = []

    def url(self, name="file.bin"):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        content = server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(
        target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def whole(folder):
    """The files of a folder that is free of unfinished ones."""
    assert not [path for path in folder.iterdir() if ".part" in path.name]
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_file_arrives_once(server, tmp_path):
    path = tmp_path / "deep" / "file.bin"
    for _ in range(2):
        download.download((server.url(),), path, size=len(CONTENT), sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.requests == [None]
    assert whole(path.parent) == {"file.bin"}


def test_a_cut_connection_is_resumed_where_it_broke(server, tmp_path):
    server.cuts = [100_000, 50_000]
    path = download.download((server.url(),), tmp_path / "f", sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.requests[0] is None
    first, second = (int(wanted[6:-1]) for wanted in server.requests[1:])
    assert 100_000 - download._BLOCK < first <= 100_000
    assert 50_000 - download._BLOCK < second - first <= 50_000


def test_a_server_that_ignores_ranges_starts_over(server, tmp_path):
    server.ranges = False
    server.cuts = [100_000]
    path = download.download((server.url(),), tmp_path / "f", sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_a_download_that_gave_up_is_resumed_by_the_next_call(server, tmp_path):
    server.cuts = [10_000] * download.ATTEMPTS
    with pytest.raises(DownloadError, match=r"cut at byte \d+ of 300000; run again to resume"):
        download.download((server.url(),), tmp_path / "f")
    assert not (tmp_path / "f").exists()
    len_before = (tmp_path / ".f.part").stat().st_size
    assert len_before > 0
    server.requests.clear()
    download.download((server.url(),), tmp_path / "f", sha256=SHA256)
    (resumed,) = server.requests
    assert int(resumed[6:-1]) == len_before
    assert whole(tmp_path) == {"f"}


def test_what_was_complete_before_the_crash_is_not_fetched_again(server, tmp_path):
    (tmp_path / ".f.part").write_bytes(CONTENT)
    path = download.download((server.url(),), tmp_path / "f", sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.requests == ["bytes=300000-"]


def test_a_file_that_shrank_on_the_server_is_fetched_anew(server, tmp_path):
    (tmp_path / ".f.part").write_bytes(bytes(400_000))
    path = download.download((server.url(),), tmp_path / "f", sha256=SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "checks, message",
    [({"size": 1234}, "expected 1234 bytes"), ({"sha256": "0" * 64}, "expected SHA-256 000")],
)
def test_another_file_than_expected_is_not_kept(checks, message, server, tmp_path):
    with pytest.raises(DownloadError, match=message):
        download.download((server.url(),), tmp_path / "f", **checks)
    assert whole(tmp_path) == set()


def test_a_file_of_unknown_length_is_taken_to_its_end(server, tmp_path):
    server.lengths = False
    path = download.download((server.url(),), tmp_path / "f", sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_the_next_address_is_tried(server, tmp_path):
    urls = (server.url("moved"), server.url())
    assert download.download(urls, tmp_path / "f", sha256=SHA256).read_bytes() == CONTENT


def test_what_cannot_be_reached_is_one_line_with_the_way_out(server, tmp_path):
    nowhere = "http://127.0.0.1:9/f"
    with pytest.raises(DownloadError) as caught:
        download.download((nowhere, server.url("none")), tmp_path / "data.zip")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("data.zip", nowhere, "no connection", server.url("none"), "404"):
        assert part in message
    assert f"put it at {tmp_path / 'data.zip'}" in message
    assert whole(tmp_path) == set()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def everything(member: PurePosixPath) -> bool:
    return True


def test_members_cannot_leave_the_folder(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"../../evil": b"1", "/root": b"2", "a/b/c": b"3"}))
    unpack(archive, tmp_path / "out", everything)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"evil", "root", "c"}


@pytest.mark.parametrize("damage", ["html", "cut", "flipped", "another"])
def test_a_damaged_archive_is_removed_and_leaves_nothing(damage, tmp_path):
    archive = tmp_path / "a.zip"
    content = zipped({"a.gnt": CONTENT})
    archive.write_bytes(
        {
            "html": b"<html>not found</html>",
            "cut": content[:-3000],
            "flipped": content[:5000] + bytes([content[5000] ^ 255]) + content[5001:],
            "another": zipped({"readme.txt": CONTENT}),
        }[damage]
    )
    with pytest.raises(DownloadError, match=r"a\.zip: not the zip file that it should be.*again"):
        unpack(archive, tmp_path / "out", lambda member: member.suffix == ".gnt")
    assert whole(tmp_path) == set()


@pytest.fixture
def catalog_of(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HCCR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HCCR_DATA_DIR", raising=False)

    def offer(name, split, archives):
        server.files |= {f"/{file}": content for file, content in archives.items()}
        table = {file: (server.url(file),) for file in archives}
        monkeypatch.setitem(sources.ARCHIVES, (name, split), table)

    return offer


def png(character_width):
    image = np.zeros((96, 96), np.uint8)
    image[20:76, 40 : 40 + character_width] = 200
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_icdar_sample_is_found_in_the_repositorys_archive(server, catalog_of):
    root = "Forward-Implementation-1c31ba1c"
    content = zipped(
        {
            f"{root}/README.md": b"",
            f"{root}/Image/丁.png": png(5),
            f"{root}/Image/大.png": png(9),
            f"{root}/Image/PaxHeader/大.png": b"not a picture",
            f"{root}/src/大.png": b"not a picture",
        }
    )
    catalog_of("icdar2013-sample", None, {"icdar2013-sample.zip": content})
    for _ in range(2):
        data = load("icdar2013-sample")
        assert data.present == "大丁"
    assert len(server.requests) == 1


def test_casia_is_several_archives_and_resumes_between_them(server, catalog_of, tmp_path):
    def archive(character):
        path = tmp_path / "one.gnt"
        write_gnt(path, [Sample(character, np.zeros((9, 9), np.uint8))])
        return zipped({"001-f.gnt": path.read_bytes(), "readme.txt": b""})

    catalog_of("casia-hwdb", "train", {"P1.zip": archive("啊"), "P2.zip": archive("座")})
    second = server.files.pop("/P2.zip")
    with pytest.raises(DownloadError, match=r"P2\.zip cannot be downloaded"):
        load("casia-hwdb", split="train")
    server.files["/P2.zip"] = second
    server.requests.clear()
    data = load("casia-hwdb", split="train")
    assert data.present == "啊座"
    assert data.writers.tolist() == [0, 1]
    assert len(server.requests) == 1  # P1 is there already
    assert whole(tmp_path / "cache" / "downloads") == set()


def test_an_archive_put_by_hand_is_used(server, catalog_of, tmp_path):
    catalog_of("icdar2013-sample", None, {"icdar2013-sample.zip": b""})
    place = tmp_path / "cache" / "downloads" / "icdar2013-sample.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(zipped({"x/Image/丁.png": png(5)}))
    assert load("icdar2013-sample").present == "丁"
    assert server.requests == []
