"""`./rtcc gen`: Python code and type stubs from the contracts in `proto/rtcc`.

The access policies (`proto/policies`) are shipped with the contracts: they land in the same tree as `rtcc/policies`.
The output, `proto/generated`, is never edited and never committed. A stamp of the sources' hash makes a second run instant.
"""

import hashlib
import importlib
import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

_GENERATORS = ("grpcio-tools", "mypy-protobuf", "protobuf")
_POLICY_SUFFIXES = (".cedar", ".cedarschema")


class GenerationFailedError(RuntimeError):
    """The compiler refused the contracts."""

    def __init__(self, output: str) -> None:
        self.output = output
        super().__init__(f"protoc refused the contracts; correct the .proto files named here and run ./rtcc gen again:\n{output}")


def generate(root: Path, *, force: bool = False) -> bool:
    """Compile every contract below `root`/proto/rtcc. Returns False when nothing had changed.

    The new tree is built beside the old one and put in its place only when the compiler accepted everything,
    so that running processes and editors never see half a tree.
    """
    sources = sorted((root / "proto" / "rtcc").rglob("*.proto"))
    generated = root / "proto" / "generated"
    stamp = generated / ".stamp"
    policies = sorted(path for path in (root / "proto" / "policies").glob("*") if path.suffix in _POLICY_SUFFIXES)
    digest = _digest(root, [*sources, *policies])
    if not force and stamp.is_file() and stamp.read_text() == digest:
        return False
    fresh = root / "proto" / "generated.new"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "rtcc").mkdir(parents=True)
    if sources:
        _compile(root / "proto", sources, fresh)
    (fresh / "rtcc" / "policies").mkdir()
    for policy in policies:
        shutil.copyfile(policy, fresh / "rtcc" / "policies" / policy.name)
    (fresh / ".stamp").write_text(digest)
    _replace_content(fresh, generated)
    shutil.rmtree(fresh, ignore_errors=True)
    importlib.invalidate_caches()  # this process may import what it just made
    return True


def _digest(root: Path, sources: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for name in _GENERATORS:
        digest.update(f"{name}={importlib.metadata.version(name)}\n".encode())
    for source in sources:
        digest.update(f"{source.relative_to(root)}\0".encode() + source.read_bytes() + b"\0")
    return digest.hexdigest()


def _compile(proto: Path, sources: Sequence[Path], into: Path) -> None:
    includes = [proto, *_include_folders()]
    scripts = Path(sys.executable).parent
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        *(f"-I{folder}" for folder in includes),
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={into}",
        f"--grpc_python_out={into}",
        f"--mypy_out=quiet:{into}",
        f"--mypy_grpc_out=quiet:{into}",
        *(str(source.relative_to(proto)) for source in sources),
    ]
    done = subprocess.run(command, cwd=proto, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GenerationFailedError(done.stderr.strip() or done.stdout.strip())


def _include_folders() -> list[Path]:
    folders = []
    tools = find_spec("grpc_tools")
    if tools and tools.submodule_search_locations:
        folders.append(Path(tools.submodule_search_locations[0]) / "_proto")
    rpc = find_spec("google.rpc")
    if rpc and rpc.submodule_search_locations:
        folders.append(Path(next(iter(rpc.submodule_search_locations))).parent.parent)
    return folders


def _replace_content(fresh: Path, target: Path) -> None:
    """Move `fresh` over `target` file by file; the folder itself stays, because it stands on sys.path."""
    target.mkdir(parents=True, exist_ok=True)
    (target / ".stamp").unlink(missing_ok=True)
    kept = set()
    for source in sorted(fresh.rglob("*")):
        relative = source.relative_to(fresh)
        if source.is_dir():
            (target / relative).mkdir(parents=True, exist_ok=True)
        elif relative.name != ".stamp":
            kept.add(relative)
            destination = target / relative
            if not destination.is_file() or destination.read_bytes() != source.read_bytes():
                source.replace(destination)
    for old in sorted(target.rglob("*")):
        if old.is_file() and "__pycache__" not in old.parts and old.relative_to(target) not in kept:
            old.unlink()
    (fresh / ".stamp").replace(target / ".stamp")
