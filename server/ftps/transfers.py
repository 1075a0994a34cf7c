"""The file's end of a transfer: what the data channel reads from and writes to."""

from __future__ import annotations

from storage.files.api import Reader
from storage.files.errors import StorageUnavailable, UploadFailed
from storage.files.uploads import Upload

BLOCK_BYTES = 256 * 1024


class Incoming:
    """An upload. It ends by ``commit``, ``park`` or ``close``; the last throws it away.

    ``expected`` is what the client promised by ALLO, or None. ``name``, ``closed`` and ``close``
    are what pyftpdlib looks for in a file.
    """

    def __init__(self, upload: Upload, name: str, *, offset: int, expected: int | None = None) -> None:
        self.name = name
        self.closed = False
        self.received = 0
        self._upload = upload
        self._offset = offset
        self._expected = expected

    def write(self, data: memoryview) -> None:
        """Add bytes at the end of what came before, or raise StorageError."""
        self._upload.write_at(self._offset, data)
        self._offset += len(data)
        self.received += len(data)

    def commit(self) -> None:
        """Publish the upload.

        Raises:
            UploadFailed: fewer bytes came than ALLO promised; the upload is kept for a resume.
            StorageError: the file could not be published; the upload is gone.
        """
        if self._expected is not None and self._offset < self._expected and self.received < self._expected:
            self.park()
            raise UploadFailed(f"{self.received} bytes came and ALLO promised {self._expected}")
        try:
            self._upload.commit()
        except BaseException:
            self.close()
            raise
        self.closed = True

    def park(self) -> None:
        """Keep the bytes for a resume in this session; nothing is kept of an upload that brought none."""
        if not self.received:
            self.close()
        elif not self.closed:
            self.closed = True
            self._upload.park()

    def close(self) -> None:
        """Throw the upload away unless it has ended already."""
        if not self.closed:
            self.closed = True
            self._upload.abort()


class Outgoing:
    """A download from ``offset`` to the end of the file as it was when opened."""

    def __init__(self, reader: Reader, name: str, *, offset: int = 0) -> None:
        self.name = name
        self.closed = False
        self.size = reader.size
        self._reader = reader
        self._offset = offset

    def more(self) -> bytes:
        """Give the next block, ``b""`` at the end; StorageError if the file became shorter meanwhile."""
        block = self._reader.read_at(self._offset, BLOCK_BYTES)
        if not block and self._offset < self.size:
            raise StorageUnavailable(f"the file ended at {self._offset} of {self.size} bytes")
        self._offset += len(block)
        return block

    def close(self) -> None:
        """Release the file."""
        if not self.closed:
            self.closed = True
            self._reader.close()
