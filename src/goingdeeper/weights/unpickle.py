"""The program that reads a file of torch.save in a process of its own: tensors out, nothing executed.

It is started by `pickled.py`, reads one file with `weights_only=True` under limits, and ends. It imports only
torch and Python's own, so that it is there quickly. On its output: eight bytes, the length of the JSON that
follows them, then the values of each tensor at a multiple of 64. On its other output, where it refuses:
one line of JSON. Where its input ends, the process that wanted the tensors has gone, and it goes, too.
"""

from __future__ import annotations

import errno
import json
import math
import os
import pickletools
import re
import sys
import threading
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REFUSED = 3
MOST_DEPTH = 4
CPU_SECONDS = 10
"""Beyond one for each 20 MB. torch needs a tenth of it: numbers as deep as dict keys take without end."""

PREFERRED = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
_AVERAGED = re.compile(r"(^|_)(ema|swa|averaged)(_|$)")
_BESIDE = re.compile(r"optim|sched|scaler|^amp$|callbacks|^loops$|hyper_parameters")

# What checkpoints keep beside their weights. A stand-in is made of each, so that nothing of theirs is called.
_HARMLESS = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|functools\.partial|copyreg\._reconstructor|typing\.\w+|"
    r"uuid\.UUID|decimal\.Decimal|"
    r"builtins\.(object|int|float|str|bool|list|tuple|dict|frozenset|range|slice)|"
    r"(numpy|pathlib|datetime|omegaconf|pytorch_lightning|lightning|lightning_fabric|torch\.optim|"
    r"torch\.torch_version|torchvision\.transforms)\.[\w.]+"
)
_DICTS = re.compile(
    r"collections\.defaultdict|easydict\.EasyDict|yacs\.config\.CfgNode|munch\.Munch|addict\.addict\.Dict|"
    r"(pytorch_lightning|lightning|lightning_fabric)\.[\w.]*AttributeDict|"
    r"mmengine\.config\.config\.ConfigDict|builtins\.dict"
)
_MODULES = ("torch.nn.modules.", "torch.nn.parallel.", "torch.jit.", "torch.fx.")


class Refused(Exception):
    """What is wrong with the file and the remedy, to be said after its name."""


@dataclass(frozen=True)
class Found:
    """The weights of a file, what was chosen for them, and whether Lightning saved it."""

    tensors: dict[str, Any]
    notes: list[str]
    lightning: bool


class StandIn:
    """Instead of an object that holds no weights: takes whatever it is made of, and keeps nothing."""

    def __new__(cls, *arguments: Any) -> StandIn:
        return object.__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class StandInDict:
    """Instead of a dict of another library: a plain one, where weights are found, too."""

    def __new__(cls, *arguments: Any) -> Any:
        return OrderedDict()


def main() -> int:
    file, ema = Path(sys.argv[1]), sys.argv[2] == "ema"
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what torch may print is no tensor
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    try:
        limit(file.stat().st_size)
        with out:
            write(out, read(file, ema, torch), file.stat().st_size, torch)
    except Exception as problem:  # a damaged pickle ends in nearly any of them
        if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
            return _say("room", "")
        return _say("refused", reason(problem))
    return 0


def reason(problem: Exception) -> str:
    """What an exception says of the file, to be said after its name."""
    if isinstance(problem, Refused):
        return str(problem)
    if isinstance(problem, OSError):
        return f"cannot be read: {problem.strerror or problem}"
    if isinstance(problem, MemoryError) or "allocate memory" in str(problem):
        return "asks for more memory than its bytes can fill; it is refused"
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    said = lines[-2] if "Weights only load failed" in str(problem) and len(lines) > 1 else (lines or [""])[0]
    brief = f"{type(problem).__name__}: {said}" if said else type(problem).__name__
    return f"is cut short or damaged ({shown(brief, 120)}); download or copy it again"


def _end_with_parent() -> None:
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)


def _say(key: str, text: str) -> int:
    sys.stderr.write("\n" + json.dumps({key: text}) + "\n")
    sys.stderr.flush()
    return REFUSED


def limit(size: int) -> None:
    """Holds this process to what a file of so many bytes can need, on systems that can."""
    try:
        import resource
    except ImportError:  # Windows; there the parent's clock alone ends it
        return

    def hold(kind: int, most: int, spare: int = 0) -> None:
        hard = resource.getrlimit(kind)[1]
        most, last = (
            most if hard == resource.RLIM_INFINITY else min(most, hard) for most in (most, most + spare)
        )
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, last))

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + CPU_SECONDS + size // 20_000_000
    hold(resource.RLIMIT_CPU, seconds, spare=5)  # the first signal tells what it is for, the last does not
    hold(resource.RLIMIT_FSIZE, most_out(size) + (32 << 20))
    hold(resource.RLIMIT_CORE, 0)
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        hold(resource.RLIMIT_AS, pages * resource.getpagesize() + 3 * size + (512 << 20))


def most_out(size: int) -> int:
    """Bytes of tensors that a file of `size` may give: tied weights count each time."""
    return 4 * size + (16 << 20)


def read(file: Path, ema: bool, torch: Any) -> Found:
    """The weights of a file; the averaged ones where it has both and `ema` asks for them. Raises Refused."""
    with file.open("rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
        stream.seek(0)
        names, stored = scanned_zip(stream) if zipped else scanned_stream(stream)
    whole = sorted(name for name in names if name.startswith(_MODULES))
    if whole:
        raise Refused(
            f"is a whole pickled model (it asks for {shown(whole[0])}), which would execute code when read; "
            "save its state_dict instead: torch.save(model.state_dict(), 'weights.pth')"
        )
    stand_ins: list[Any] = []
    for name in names:
        if _DICTS.fullmatch(name):
            stand_ins.append((StandInDict, name))
        elif _HARMLESS.fullmatch(name):
            stand_ins.append((StandIn, name))
    held: list[int] = []

    def here(storage: Any, location: str) -> Any:
        held.append(storage.nbytes())
        return storage

    try:
        with torch.serialization.safe_globals(stand_ins):
            content = _loaded(file, zipped, here, torch)
    except Exception as problem:
        asked = re.search(r"GLOBAL (\S+)", str(problem))
        if asked:
            raise Refused(
                f"asks for {shown(asked[1])} when read, which weights do not need and which was not "
                "executed; if you trust it, load it with torch and torch.save its state_dict alone"
            ) from None
        if re.search(r"Unsupported operand", str(problem)):
            raise Refused(
                "holds a pickle that torch does not read safely (not of protocol 2, or damaged); save it "
                "as .safetensors, or with torch.save's own protocol"
            ) from None
        raise
    if sorted(held) != stored if zipped else file.stat().st_size != stored[0] + sum(held) + 8 * len(held):
        raise Refused(
            f"is damaged or made up: its tensors claim {sum(held):,} bytes, which are not those that are "
            "stored; download or copy it again"
        )
    tensors, notes = unwrapped(content, ema, torch)
    return Found(tensors, notes, "pytorch-lightning_version" in content)


def _loaded(file: Path, zipped: bool, here: Callable[[Any, str], Any], torch: Any) -> Any:
    with file.open("rb") as stream:
        if not zipped:
            return torch.load(stream, map_location=here, weights_only=True)
        # Only a path is mapped, and torch takes one that ends in .safetensors for such a file.
        path = f"/dev/fd/{stream.fileno()}" if file.name.endswith(".safetensors") else str(file)
        return torch.load(path, map_location=here, weights_only=True, mmap=True)


def scanned_zip(stream: IO[bytes]) -> tuple[list[str], list[int]]:
    """The names that the pickle in an archive asks for, and the sizes of the storages beside it, sorted."""
    with zipfile.ZipFile(stream) as archive:
        inner = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        with archive.open(inner["data.pkl"]) as pickle:
            names = list(dict.fromkeys(_asked(pickle)))
    return names, sorted(entry.file_size for name, entry in inner.items() if name.startswith("data/"))


def scanned_stream(stream: IO[bytes]) -> tuple[list[str], list[int]]:
    """The names that the pickles of the older form ask for, and where the storages begin."""
    names: list[str] = []
    for _ in ("number", "version", "system", "content", "storages"):
        names += _asked(stream)
    return list(dict.fromkeys(names)), [stream.tell()]


def _asked(stream: IO[bytes]) -> Iterator[str]:
    """The names in the pickle at the stream's place, which is at its end afterwards."""
    texts = ["", ""]
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            # Protocol 2 has Python 2's names, such as __builtin__.dict, which torch turns into today's.
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            yield f"{module}.{name}"
        elif operation.name == "STACK_GLOBAL":
            yield ".".join(texts)
        elif isinstance(argument, str):
            texts = [texts[1], argument]


def unwrapped(content: Any, ema: bool, torch: Any) -> tuple[dict[str, Any], list[str]]:
    """The dict of tensors that is the weights, of those in a checkpoint, and what was chosen."""
    if not isinstance(content, dict):
        raise Refused(f"holds {_kind(content, torch)}, not weights by name; save the model's state_dict")
    found = dict(_candidates(content, torch))
    if not found:
        raise Refused("holds no tensors by name; save the model's state_dict")
    most = max(map(len, found.values()))
    large = {path: tensors for path, tensors in found.items() if 2 * len(tensors) >= most}
    averaged = [path for path in large if any(_AVERAGED.search(part) for part in path)]
    plain = [path for path in large if path not in averaged]
    choices = (averaged if ema else plain) or plain or averaged

    def rank(path: tuple[str, ...]) -> tuple[int, int]:
        last = path[-1] if path else ""
        return (PREFERRED.index(last) if last in PREFERRED else len(PREFERRED)), -len(found[path])

    chosen = min(choices, key=rank)
    notes = []
    if chosen in averaged:
        last_step = f"; {_place(min(plain, key=rank))} holds those of the last step" if plain else ""
        notes.append(f"took the averaged weights in {_place(chosen)}{last_step}")
    elif averaged:
        notes.append(f"took {_place(chosen)}, and not the averaged weights in {_place(averaged[0])}")
    elif len(large) > 1:
        others = ", ".join(_place(path) for path in large if path != chosen)
        notes.append(f"took {_place(chosen)} with {len(found[chosen])} tensors, and left {others}")
    elif chosen:
        notes.append(f"took {_place(chosen)}")
    return found[chosen], notes


def _candidates(content: dict[Any, Any], torch: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each dict with tensors in it, by its path; optimizers and the like are passed over."""
    waiting: list[tuple[tuple[str, ...], dict[Any, Any]]] = [((), content)]
    seen = {id(content)}
    for path, group in waiting:
        tensors = {key: value for key, value in group.items() if _is_text(key) and torch.is_tensor(value)}
        if tensors:
            yield path, tensors
        for key, value in group.items():
            if (
                _is_text(key)
                and isinstance(value, dict)
                and len(path) < MOST_DEPTH
                and id(value) not in seen
                and not _BESIDE.search(key.lower())
            ):
                seen.add(id(value))
                waiting.append(((*path, key), value))


def _is_text(key: Any) -> bool:
    """Whether a key can be written; pickles can hold halves of a character."""
    try:
        return isinstance(key, str) and bool(key.encode() or True)
    except UnicodeEncodeError:
        return False


def _place(path: tuple[str, ...]) -> str:
    return f"'{shown('.'.join(path))}'" if path else "the top"


def _kind(content: Any, torch: Any) -> str:
    return "one tensor" if torch.is_tensor(content) else f"a {type(content).__name__}"


def write(stream: IO[bytes], found: Found, size: int, torch: Any) -> None:
    """Writes a header and the values of each tensor, as they lie in memory."""
    tensors = found.tensors
    places: dict[str, tuple[str, list[int], int]] = {}
    at = 0
    for key, tensor in tensors.items():
        for said, unusual in (
            ("sparse", str(tensor.layout) != "torch.strided"),
            ("quantised", tensor.is_quantized),
            ("without values", tensor.device.type != "cpu"),
        ):
            if unusual:
                raise Refused(
                    f"holds '{shown(key)}', which is {said} and is not read; save the weights as dense "
                    "tensors of floats"
                )
        places[key] = str(tensor.dtype).removeprefix("torch."), list(tensor.shape), at
        at += -(-tensor.numel() * tensor.element_size() // 64) * 64
        if at > most_out(size):
            raise Refused(
                f"claims {at:,} bytes with '{shown(key)}' {list(tensor.shape)}, and has {size:,}; it is "
                "refused"
            )
    header = json.dumps({"tensors": places, "notes": found.notes, "lightning": found.lightning}).encode(
        "ascii"
    )
    header += b" " * (-(len(header) + 8) % 64)
    stream.write(len(header).to_bytes(8, "little") + header)
    for tensor in tensors.values():
        values = tensor.detach().resolve_neg().contiguous().reshape(-1)
        length = values.numel() * values.element_size()
        if length:
            stream.write(memoryview(values.view(torch.uint8).numpy()))
            stream.write(b"\0" * (-length % 64))


def shown(text: str, most: int = 80) -> str:
    """Text of the file in a message: what is not printable as backslash escapes, and not endless."""
    text = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


if __name__ == "__main__":
    os._exit(main())  # not taking torch apart saves a tenth of the time
