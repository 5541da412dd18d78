"""Models on the Hugging Face Hub: taken from there by `hf:owner/name[@revision][/file]`, and given there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from goingdeeper.errors import DataError, GoingDeeperError, ResourceError, UsageError
from goingdeeper.files import room_for, sha256_of
from goingdeeper.runs.model import Model, load_model
from goingdeeper.runs.scale import FILE as SCALE
from goingdeeper.weights.card import card
from goingdeeper.weights.download import Fetched, Progress, offline

OURS = ("config.json", "model.safetensors", SCALE, "golden.png")
"""The files of a model folder; README.md becomes the model card."""

USUAL = ("model.safetensors", "pytorch_model.bin", "model.keras", "model.weights.h5", "model.h5")
"""Files that hold a repository's weights by custom; the first of these is taken where none is named."""

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".th", ".h5", ".keras", ".caffemodel")


@dataclass(frozen=True)
class HubName:
    """`hf:owner/name`, with a revision (a branch, a tag or a commit) and a file if they are given."""

    repository: str
    revision: str = ""
    file: str = ""

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf:{self.repository}{revision}" + (f"/{self.file}" if self.file else "")


def hub_name(text: str) -> HubName:
    """Raises UsageError for what is not of the form `hf:owner/name[@revision][/file]`."""
    part = r"[\w-][\w.-]*"
    found = re.fullmatch(
        rf"hf:/{{0,2}}({part}/{part})(?:@(refs/(?:pr|convert)/[\w.-]+|[^/\s@]+))?(?:/([^\s@]+))?", text
    )
    if not found or ".." in text:
        raise UsageError(f"{text} is no name on the Hub; give hf:owner/name, hf:owner/name@revision/file")
    return HubName(*(group or "" for group in found.groups()))


def fetch_hub(text: str, progress: Progress | None = None) -> Fetched:
    """A file of weights from the Hub, by way of the Hub's cache; the commit is the one that it has now.

    Raises UsageError for what is no name, DataError where the repository, the revision or the file is not
    there or several could be meant, ResourceError for the network and a full disk.
    """
    from huggingface_hub import HfApi, hf_hub_download

    name, licence = hub_name(text), ""
    with _told(name):
        revision = name.revision or None
        if offline():
            files = [] if name.file else _cached(name)
        else:
            about = HfApi().model_info(name.repository, revision=revision)
            files = [str(one.rfilename) for one in about.siblings or ()]
            licence = str(getattr(about.card_data, "license", None) or "")
        chosen = name.file or _chosen(name, files)
        path = hf_hub_download(
            name.repository, chosen, revision=revision, local_files_only=bool(offline()),
            tqdm_class=_telling(progress),
        )  # fmt: skip
    file = Path(path)
    return Fetched(file, str(name), sha256_of(file), _commit(file), licence)


def local(place: str | os.PathLike[str]) -> Path:
    """The path of a run or model folder as it is; of `hf:owner/name` the folder in the Hub's cache.

    Raises DataError where the repository holds none of our models, and otherwise as `fetch_hub`.
    """
    text = os.fspath(place)
    if not text.startswith("hf:"):
        return Path(place)
    from huggingface_hub import snapshot_download

    name = hub_name(text)
    if name.file:
        raise UsageError(f"{name} names a file; give hf:{name.repository}, or `deeper import` the file")
    with _told(name):
        folder = Path(
            snapshot_download(
                name.repository, revision=name.revision or None, allow_patterns=[*OURS, "README.md"],
                local_files_only=bool(offline()), tqdm_class=_telling(None),
            )
        )  # fmt: skip
    if not _is_model(folder / "config.json"):
        raise DataError(
            f"{name} holds no model of Going Deeper's; `deeper import {name}` makes one of weights"
        )
    return folder


def push(
    path: Path,
    target: str,
    *,
    private: bool = False,
    message: str = "",
    licence: str = "",
    replace: bool = False,
) -> str:
    """Gives a run's model, or a model folder, to the Hub with a model card; the URL of the one commit.

    The model proves itself first. licence: an identifier such as `apache-2.0`; what the model's provenance
    says, else unknown. replace: another commit in a repository that is there. The token is the one of
    `hf auth login`, or HF_TOKEN. Raises UsageError where the repository is there, DataError without rights,
    ResourceError for the network.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    name = hub_name(target)
    if name.revision or name.file:
        raise UsageError(f"{name} is given as a whole; leave out the revision and the file")
    model = load_model(path)
    if variable := offline():
        raise ResourceError(f"{name} cannot be given: {variable} forbids the network; unset it")
    files = [model.path / file for file in OURS if (model.path / file).is_file()]
    operations = [CommitOperationAdd(file.name, str(file)) for file in files]
    text = card(model.config, name.repository, licence)
    operations.append(CommitOperationAdd("README.md", text.encode("utf-8")))
    api = HfApi(library_name="goingdeeper")
    with _told(name, giving=True):
        try:
            api.create_repo(name.repository, private=private, exist_ok=replace)
        except HfHubHTTPError as problem:
            if problem.response.status_code != 409:
                raise
            raise UsageError(f"{name} is there already; give --replace for another commit in it") from None
        done = api.create_commit(
            name.repository, operations, commit_message=message or f"Add {_network(model)} by Going Deeper"
        )
    return str(done.commit_url)


def _network(model: Model) -> str:
    return str(model.config["network"])


def _chosen(name: HubName, files: list[str]) -> str:
    if usual := [file for file in USUAL if file in files]:
        return usual[0]
    found = [file for file in files if file.endswith(SUFFIXES)]
    if len(found) == 1:
        return found[0]
    what = f"several files of weights ({', '.join(sorted(found)[:6])})" if found else "no file of weights"
    raise DataError(f"{name} holds {what}; name one as {name}/FILE")


def _cached(name: HubName) -> list[str]:
    """Files of a revision that are in the Hub's cache."""
    from huggingface_hub import constants, scan_cache_dir

    wanted = name.revision or "main"
    repositories = (
        scan_cache_dir(constants.HF_HUB_CACHE).repos if Path(constants.HF_HUB_CACHE).is_dir() else ()
    )
    for repository in repositories:
        if repository.repo_id == name.repository and repository.repo_type == "model":
            for revision in repository.revisions:
                if wanted in revision.refs or revision.commit_hash == wanted:
                    return [str(one.file_path.relative_to(revision.snapshot_path)) for one in revision.files]
    raise _not_cached(name)


def _not_cached(name: HubName) -> ResourceError:
    return ResourceError(f"{name} is not in the Hub's cache, and {offline()} forbids the network; unset it")


def _commit(file: Path) -> str:
    parts = file.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else ""


def _is_model(file: Path) -> bool:
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and {"schema", "description", "golden"} <= config.keys()


def _telling(progress: Progress | None) -> Any:
    """What huggingface_hub draws its progress with: our own line, or nothing."""
    tqdm: Any = import_module("huggingface_hub.utils").tqdm

    class Telling(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": False, "file": _Nowhere(), "mininterval": 0.2})

        def display(self, *_: Any, **__: Any) -> None:
            if progress and self.unit == "B" and self.total and self.n <= self.total:
                progress(int(self.n), int(self.total))

    return Telling


class _Nowhere:
    def write(self, _: str) -> None: ...

    def flush(self) -> None: ...


@contextmanager
def _told(name: HubName, giving: bool = False) -> Iterator[None]:
    """The Hub's errors within as ours, of one line each."""
    from huggingface_hub import constants, errors

    there = f"hf:{name.repository}"
    place = f"{constants.ENDPOINT}/{name.repository}"
    try:
        with room_for(Path(constants.HF_HUB_CACHE), 0):
            yield
    except GoingDeeperError:
        raise
    except errors.HFValidationError as problem:
        raise UsageError(f"{name} is no name on the Hub: {_line(problem)}") from None
    except errors.LocalTokenNotFoundError:
        raise DataError(f"{there} needs a token of the Hub's; log in with `hf auth login`") from None
    except errors.GatedRepoError:
        raise DataError(f"{there} is gated; accept its terms at {place}, then `hf auth login`") from None
    except errors.RevisionNotFoundError:
        revision = name.revision or "main"
        raise DataError(
            f"{there} has no revision '{revision}' (any more); {place}/commits lists them"
        ) from None
    except errors.RepositoryNotFoundError as problem:
        if giving and problem.response.status_code in (401, 403):
            raise _no_rights(there) from None
        raise DataError(
            f"there is no {there}, or it is private; check the name, or `hf auth login`"
        ) from None
    except errors.LocalEntryNotFoundError:
        if offline():
            raise _not_cached(name) from None
        raise _no_network(there) from None
    except errors.EntryNotFoundError:
        raise DataError(f"{there} has no file {name.file}; {place}/tree/main lists its files") from None
    except errors.HfHubHTTPError as problem:
        status = problem.response.status_code
        if status in (401, 403):
            raise _no_rights(there) from None
        raise ResourceError(
            f"the Hub answers {status} for {there}: {_line(problem)}; try again later"
        ) from None
    except (errors.OfflineModeIsEnabled, ConnectionError, TimeoutError):
        raise _no_network(there) from None
    except Exception as problem:  # of the Hub's own client, which is another library from version to version
        if not type(problem).__module__.startswith(("httpx", "httpcore")):
            raise
        raise _no_network(there) from None


def _no_rights(there: str) -> DataError:
    return DataError(
        f"the Hub refuses {there}: no token, or one without the rights; log in with `hf auth login`"
    )


def _no_network(there: str) -> ResourceError:
    return ResourceError(f"the Hub cannot be reached for {there}; see to the network and run it again")


def _line(problem: Exception) -> str:
    return next(iter(str(problem).strip().splitlines()), type(problem).__name__)
