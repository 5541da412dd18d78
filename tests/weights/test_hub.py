"""Models to the Hub and back, and weights from it, by way of a server that plays the Hub's endpoints."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, constants

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.errors import DataError, GateError, ResourceError, UsageError
from goingdeeper.nn.build import build
from goingdeeper.opened import load
from goingdeeper.runs.model import save_model
from goingdeeper.weights import download
from goingdeeper.weights.hub import HubName, fetch_hub, hub_name, local, push

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories by name, their files by path; what was asked, and with which token changes were.

    refuse: paths (parts of them) that are answered with a status.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    commits: list[tuple[str, str]] = field(default_factory=list)
    private: dict[str, bool] = field(default_factory=dict)
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if path == "/api/repos/create" or "/commit/" in path:
            self.hub.tokens.add(self.headers.get("Authorization"))
        for part, (status, code) in self.hub.refuse.items():
            if part in path:
                return self._send(status, {"error": code}, {"X-Error-Code": code})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if "/resolve/" in path:
            return self._file(*path.removeprefix("/").split("/resolve/", 1))
        if path.startswith("/api/models/"):
            words = path.removeprefix("/api/models/").split("/")
            return self._api("/".join(words[:2]), words[2:], body)
        self._send(404, {"error": "unknown"})

    def _create(self, wish: dict[str, Any]) -> None:
        name = f"{wish.get('organization') or 'me'}/{wish['name']}"
        if name in self.hub.repositories:
            there = {"error": "You already created this model repo", "url": f"{constants.ENDPOINT}/{name}"}
            return self._send(409, there)
        self.hub.repositories[name] = {}
        self.hub.private[name] = wish.get("visibility") == "private"
        self._send(200, {"url": f"{constants.ENDPOINT}/{name}", "name": name})

    def _known(self, name: str, revision: str) -> bool:
        if name not in self.hub.repositories:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", COMMIT):
            self._send(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        else:
            return True
        return False

    def _file(self, name: str, rest: str) -> None:
        revision, _, file = rest.partition("/")
        if not self._known(name, revision):
            return
        content = self.hub.repositories[name].get(file)
        if content is None:
            return self._send(404, {"error": "no file"}, {"X-Error-Code": "EntryNotFound"})
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _api(self, name: str, words: list[str], body: bytes) -> None:
        kind = words[0] if words else "revision"
        revision = words[1] if len(words) > 1 else "main"
        if not self._known(name, revision):
            return
        files = self.hub.repositories[name]
        if kind == "revision":
            siblings = [{"rfilename": file} for file in files]
            card = {"license": "mit"} if "README.md" in files else None
            return self._send(200, {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": card})
        if kind == "tree":
            listed = [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in files.items()
            ]
            return self._send(200, listed)
        if kind == "preupload":
            wanted = json.loads(body)["files"]
            plain = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self._send(200, {"files": [{"path": one["path"], **plain} for one in wanted]})
        if kind == "commit":
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "header":
                    self.hub.commits.append((name, value["summary"]))
                else:
                    assert line["key"] == "file", line
                    files[value["path"]] = base64.b64decode(value["content"])
            url = f"{constants.ENDPOINT}/{name}/commit/{COMMIT}"
            return self._send(200, {"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})
        self._send(404, {"error": f"unknown {kind}"})

    def _send(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Type": "application/json"}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[Hub]:
    state = Hub()
    handler = type("Played", (Handler,), {"hub": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    for name in download.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    yield state
    server.shutdown()
    server.server_close()


SCORES = {
    "protocol": "1crop", "images": 200, "top1_error": 12.5, "top5_error": None, "interval_95": [8.6, 17.8],
    "cross_entropy": 0.4,
}  # fmt: skip


@pytest.fixture
def model(tmp_path, small_network) -> Path:
    net = build(small_network)
    picture = np.random.default_rng(0).integers(0, 256, (11, 9, 3), np.uint8)
    facts = {"scores": SCORES, "provenance": {"data": "photos", "recipe": "scratch", "goingdeeper": "0.1"}}
    save_model(tmp_path / "model", net, net.state_dict(), tuple("abcdefg"), Preprocessing(8), picture, facts)
    return tmp_path / "model"


def test_a_model_is_given_and_comes_back(hub, model):
    url = push(model, "hf:me/small", message="First", licence="apache-2.0")
    assert url == f"{constants.ENDPOINT}/me/small/commit/{COMMIT}"
    assert hub.commits == [("me/small", "First")]  # one, with everything
    assert set(hub.repositories["me/small"]) == {
        "config.json",
        "model.safetensors",
        "golden.png",
        "README.md",
    }
    assert hub.repositories["me/small"]["config.json"] == (model / "config.json").read_bytes()
    assert hub.tokens == {"Bearer hf_token"}
    picture = np.full((8, 8, 3), 90, np.uint8)
    assert load("hf:me/small").predict([picture]) == load(model).predict([picture])
    assert load(f"hf:me/small@{COMMIT}").model.classes == tuple("abcdefg")


def test_the_card_says_what_is_known(hub, model):
    push(model, "hf:me/small", licence="apache-2.0")
    read = ModelCard(hub.repositories["me/small"]["README.md"].decode())
    assert read.data.license == "apache-2.0"
    assert read.data.library_name == "goingdeeper"
    assert read.data.pipeline_tag == "image-classification"
    (result,) = read.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 87.5)
    assert result.metric_name == "accuracy (1crop, n = 200)"
    assert result.dataset_name == "photos"
    assert "| 12.50 % | 8.60 to 17.80 % | 200 | 1crop |" in read.text
    assert 'gd.load("hf:me/small")' in read.text


def test_a_licence_that_nobody_gave_is_unknown(hub, model):
    push(model, "hf:me/small")
    read = ModelCard(hub.repositories["me/small"]["README.md"].decode())
    assert read.data.license == "unknown"
    push(model, "hf:me/small", licence="My Own Terms", replace=True)
    read = ModelCard(hub.repositories["me/small"]["README.md"].decode())
    assert (read.data.license, read.data.license_name) == ("other", "my-own-terms")


def test_a_repository_that_is_there_is_only_changed_when_asked(hub, model):
    hub.repositories["me/small"] = {"precious": b"1"}
    with pytest.raises(UsageError, match="hf:me/small is there already; give --replace"):
        push(model, "hf:me/small")
    assert hub.repositories["me/small"] == {"precious": b"1"}
    push(model, "hf:me/small", replace=True, private=True)
    assert hub.repositories["me/small"].keys() > {"precious", "config.json"}


def test_a_private_repository(hub, model):
    push(model, "hf:me/small", private=True)
    assert hub.private == {"me/small": True}


def test_a_model_that_does_not_prove_itself_is_not_given(hub, model):
    config = json.loads((model / "config.json").read_text("utf-8"))
    config["golden"]["logits"][0] += 1
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(GateError, match="does not prove itself"):
        push(model, "hf:me/small")
    assert not hub.asked


@pytest.mark.parametrize("status", [401, 403])
def test_no_rights_is_said(hub, model, status):
    hub.refuse["/api/repos/create"] = (status, "")
    with pytest.raises(DataError, match="refuses hf:me/small: no token, or one without the rights; log in"):
        push(model, "hf:me/small")


def test_nothing_is_given_offline(hub, model, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ResourceError, match="HF_HUB_OFFLINE forbids the network"):
        push(model, "hf:me/small")
    assert not hub.asked


def test_no_network_is_said(hub, model, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match="cannot be reached for hf:me/small"):
        push(model, "hf:me/small")
    with pytest.raises(ResourceError, match="cannot be reached for hf:me/small"):
        fetch_hub("hf:me/small")


@pytest.fixture
def weights(hub) -> dict[str, bytes]:
    """A repository with a file of weights and others."""
    files = {"README.md": b"---\n", "model.safetensors": b"weights" * 1000, "pytorch_model.bin": b"other"}
    hub.repositories["timm/net"] = files
    return files


def test_weights_are_pinned_to_the_commit(hub, weights):
    found = fetch_hub("hf:timm/net")
    assert found.file.read_bytes() == weights["model.safetensors"]
    assert (found.source, found.revision, found.licence) == ("hf:timm/net", COMMIT, "mit")
    assert found.sha256 == hashlib.sha256(weights["model.safetensors"]).hexdigest()
    assert not [path for path in hub.asked if path.endswith(("README.md", "pytorch_model.bin"))]
    named = fetch_hub(f"hf:timm/net@{COMMIT}/pytorch_model.bin")
    assert named.file.read_bytes() == b"other"


def test_what_is_in_the_cache_serves_offline(hub, weights, monkeypatch, model):
    push(model, "hf:me/small")
    here, before = fetch_hub("hf:timm/net"), local("hf:me/small")
    hub.asked.clear()
    monkeypatch.setenv("GOINGDEEPER_OFFLINE", "1")
    assert fetch_hub("hf:timm/net").file == here.file
    assert fetch_hub("hf:timm/net/model.safetensors").file == here.file
    assert local("hf:me/small") == before
    for missing in ("hf:timm/other", "hf:timm/net@v2", "hf:timm/net/pytorch_model.bin"):
        with pytest.raises(ResourceError, match="is not in the Hub's cache, and GOINGDEEPER_OFFLINE forbids"):
            fetch_hub(missing)
    assert not hub.asked


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:timm/nat", "there is no hf:timm/nat, or it is private"),
        ("hf:timm/net@v9", r"has no revision 'v9' \(any more\); .*/timm/net/commits lists them"),
        ("hf:timm/net/weights.pth", r"has no file weights.pth; .*/tree/main lists its files"),
    ],
)
def test_what_is_not_there_is_said(hub, weights, name, message):
    with pytest.raises(DataError, match=message):
        fetch_hub(name)


def test_a_gated_repository_is_said(hub, weights):
    hub.refuse["/api/models/timm/net"] = (403, "GatedRepo")
    with pytest.raises(DataError, match=r"is gated; accept its terms at .*/timm/net, then `hf auth login`"):
        fetch_hub("hf:timm/net")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.pth": b"", "b.pth": b""},
            r"several files of weights \(a.pth, b.pth\); name one as hf:me/x/FILE",
        ),
        ({"config.json": b"{}"}, "holds no file of weights"),
    ],
)
def test_a_repository_that_leaves_a_choice_is_refused(hub, files, message):
    hub.repositories["me/x"] = files
    with pytest.raises(DataError, match=message):
        fetch_hub("hf:me/x")


def test_the_only_file_of_weights_is_taken(hub):
    hub.repositories["me/x"] = {"net.caffemodel": b"1", "LICENSE": b""}
    assert fetch_hub("hf:me/x").file.name == "net.caffemodel"


def test_weights_of_others_are_no_model(hub, weights):
    hub.repositories["timm/net"]["config.json"] = b'{"architecture": "resnet50"}'
    with pytest.raises(
        DataError, match="hf:timm/net holds no model of Going Deeper's; `deeper import hf:timm/net`"
    ):
        load("hf:timm/net")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hf:timm/resnet50.a1_in1k", HubName("timm/resnet50.a1_in1k")),
        ("hf://timm/net@v1.0", HubName("timm/net", "v1.0")),
        ("hf:timm/net@refs/pr/3/sub/model.pth", HubName("timm/net", "refs/pr/3", "sub/model.pth")),
        ("hf:timm/net/sub/model.pth", HubName("timm/net", "", "sub/model.pth")),
    ],
)
def test_names(text, name):
    assert hub_name(text) == name
    assert hub_name(str(name)) == name


@pytest.mark.parametrize(
    "text",
    ["hf:", "hf:timm", "hf:timm/", "hf:/timm", "hf:timm/net@", "hf:timm/net/../../x", "hf:a b/c", "hf:a/b/"],
)
def test_what_is_no_name_is_refused(text):
    with pytest.raises(UsageError, match="is no name on the Hub"):
        hub_name(text)


def test_progress_is_told(hub, weights):
    seen: list[tuple[int, int]] = []
    fetch_hub("hf:timm/net", lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7000, 7000)
    assert torch.tensor(seen).diff(dim=0).min() >= 0
