"""What a signed-in user may do to files: one table of cases x every front end, against the running server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from storage.database.changes import CreateFolder, PutGrant
from storage.files.permissions import PRESETS
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal, RefusalKind
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"
Case = Callable[[Driver], None]


def refused(kind: RefusalKind, call: Callable[[], object], *, sftp: RefusalKind | None = None, driver: Driver) -> None:
    """Assert that the call is refused in the right way; SFTP v3 has one code (failure) for many things."""
    expected = sftp if sftp is not None and driver.front_end == "sftp" else kind
    with pytest.raises(Refusal) as caught:
        call()
    assert expected == caught.value.kind, caught.value.text


def writes_and_reads(driver: Driver) -> None:
    """What was written is read back, by size and by content."""
    data = os.urandom(200_001)
    driver.write("/file.bin", data)

    assert data == driver.read("/file.bin")
    assert len(data) == driver.size("/file.bin")


def overwrites(driver: Driver) -> None:
    """A second upload replaces the first, also by a shorter file."""
    driver.write("/file.bin", b"x" * 5000)
    driver.write("/file.bin", b"short")

    assert driver.read("/file.bin") == b"short"


def writes_empty_file(driver: Driver) -> None:
    """An empty upload makes an empty file."""
    driver.write("/empty", b"")

    assert driver.size("/empty") == 0
    assert driver.read("/empty") == b""


def lists_what_is_there(driver: Driver) -> None:
    """A listing names files and directories, each once, and nothing else."""
    driver.mkdir("/list")
    driver.write("/list/a file", b"1")
    driver.mkdir("/list/ordner-ä")

    assert {"a file", "ordner-ä"} == driver.names("/list")


def missing_is_missing(driver: Driver) -> None:
    """Reading, sizing, removing, renaming and listing what is not there say so."""
    for call in (
        lambda: driver.read("/absent"),
        lambda: driver.size("/absent"),
        lambda: driver.remove("/absent"),
        lambda: driver.rename("/absent", "/elsewhere"),
        lambda: driver.names("/absent"),
        lambda: driver.write("/absent/file", b"x"),
        lambda: driver.mkdir("/absent/dir"),
    ):
        refused(RefusalKind.MISSING, call, driver=driver)


def mkdir_twice(driver: Driver) -> None:
    """A directory is not made over one that is there."""
    driver.mkdir("/dir")

    refused(RefusalKind.EXISTS, lambda: driver.mkdir("/dir"), sftp=RefusalKind.FAILED, driver=driver)


def removes(driver: Driver) -> None:
    """A removed file and a removed directory are gone."""
    driver.write("/gone", b"x")
    driver.mkdir("/gone-too")
    driver.remove("/gone")
    driver.rmdir("/gone-too")

    assert driver.names("/") == set()


def renames(driver: Driver) -> None:
    """A renamed file keeps its bytes and leaves its old name; a directory takes its content along."""
    driver.write("/old", b"content")
    driver.mkdir("/box")
    driver.write("/box/inside", b"inside")
    driver.rename("/old", "/new name")
    driver.rename("/box", "/crate")

    assert driver.read("/new name") == b"content"
    assert driver.read("/crate/inside") == b"inside"
    assert {"new name", "crate"} == driver.names("/")


def dots_stay_inside(driver: Driver) -> None:
    """Dot segments never lead above the root."""
    driver.write("/a", b"mine")

    assert driver.read("/../../../a") == b"mine"
    refused(RefusalKind.MISSING, lambda: driver.read("/../../../etc/passwd"), driver=driver)


def reserved_names_are_refused(driver: Driver) -> None:
    """The server's own temporary names cannot be addressed."""
    with pytest.raises(Refusal):
        driver.write("/.quaymaster-upload-x", b"x")

    assert driver.names("/") == set()


def long_names_are_refused(driver: Driver) -> None:
    """A name of 256 bytes is refused and one of 255 bytes is not."""
    driver.write("/" + "n" * 255, b"x")
    with pytest.raises(Refusal):
        driver.write("/" + "n" * 256, b"x")

    assert {"n" * 255} == driver.names("/")


CASES: tuple[Case, ...] = (
    writes_and_reads,
    overwrites,
    writes_empty_file,
    lists_what_is_there,
    missing_is_missing,
    mkdir_twice,
    removes,
    renames,
    dots_stay_inside,
    reserved_names_are_refused,
    long_names_are_refused,
)


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.front_end)
def driver(request: pytest.FixtureRequest, server: QuaymasterServer) -> Iterator[Driver]:
    """A new user, signed in at one front end."""
    name = f"files-{request.node.name}".lower().replace("[", "-").replace("]", "").replace("_", "-")
    server.add_user(name, password=PASSWORD)
    with request.param(server.driver_ports, Credential(name, PASSWORD)) as session:
        yield session


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_every_cell_of_the_file_matrix(case: Case, driver: Driver) -> None:
    """Each front end does the case as described in its function."""
    case(driver)


@pytest.mark.parametrize("driver_type", DRIVERS, ids=lambda driver: driver.front_end)
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_shared_folder_obeys_its_preset(
    preset: str, driver_type: type[Driver], server: QuaymasterServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Through every front end, a preset allows what it names and nothing else, and the disk agrees."""
    root = tmp_path_factory.mktemp("shared")
    (root / "present").write_bytes(b"present")
    name = f"preset-{preset}-{driver_type.front_end}"
    user = server.add_user(name, password=PASSWORD)
    folder = server.store.apply(CreateFolder(name, "local", {"root": str(root)}, None), actor="test")
    rights = frozenset(str(right) for right in PRESETS[preset])
    grant = PutGrant("/shared", rights, frozenset(), user_id=user.id, folder_id=folder.subject_id)
    server.store.apply(grant, actor="test")

    allowed = set()
    with driver_type(server.driver_ports, Credential(name, PASSWORD)) as session:
        for verb, call in {
            "read": lambda: session.read("/shared/present"),
            "overwrite": lambda: session.write("/shared/present", b"changed"),
            "create": lambda: session.write("/shared/new", b"new"),
            "make-directory": lambda: session.mkdir("/shared/dir"),
            "rename": lambda: session.rename("/shared/present", "/shared/moved"),
        }.items():
            try:
                call()
                allowed.add(verb)
            except Refusal:
                continue

    assert rights & {"read", "overwrite", "create", "make-directory", "rename"} == allowed
    assert ((root / "new").exists(), (root / "dir").exists(), (root / "moved").exists()) == (
        "create" in rights,
        "make-directory" in rights,
        "rename" in rights,
    )
