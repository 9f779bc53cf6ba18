"""The tree of containers, directories and files in memory, in listing order. No I/O.

The tree is built and changed only by applying records of the journal.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from services.emulator.storage.model.entries import ContainerEntry, Entry, StoredPolicy
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import (
    ContainerRemoved,
    ContainerSet,
    PathRemoved,
    PathRenamed,
    PathSet,
    Record,
)


class Node:
    """A file, or a directory with its children in listing order. This is the order of full paths."""

    __slots__ = ("_order", "children", "entry")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.children: dict[str, Node] = {}
        self._order: list[str] = []

    def put(self, name: str, child: "Node") -> None:
        self.remove(name)
        self.children[name] = child
        insort(self._order, _order_key(name, child))

    def remove(self, name: str) -> None:
        if (child := self.children.pop(name, None)) is not None:
            del self._order[bisect_left(self._order, _order_key(name, child))]

    def names_from(self, key: str) -> Iterator[str]:
        """Yield the listing keys of the children, starting at `key`.

        The key of a directory ends in a slash.
        """
        for index in range(bisect_left(self._order, key), len(self._order)):
            yield self._order[index]


class Container:
    """A container and the root of its tree."""

    __slots__ = ("entry", "root")

    def __init__(self, entry: ContainerEntry) -> None:
        self.entry = entry
        root = Entry(entry.etag, entry.created_us, entry.modified_us, is_directory=True)
        self.root = Node(root)


class Namespace:
    """All containers of the account. Methods raise FilesystemNotFound if the container does not exist."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.path_count = 0

    def container(self, name: str) -> Container:
        if (container := self.containers.get(name)) is None:
            raise Refused("FilesystemNotFound")
        return container

    def find_policies(self, name: str) -> tuple[StoredPolicy, ...]:
        """Return the container's stored access policies, or no policies if there is no such container."""
        return container.entry.policies if (container := self.containers.get(name)) is not None else ()

    def node(self, container: str, path: str) -> Node | None:
        """Return the node at a path, or None if there is none. The empty path is the container's root."""
        node: Node | None = self.container(container).root
        for segment in filter(None, path.split("/")):
            if node is None:
                return None
            node = node.children.get(segment)
        return node

    def entry(self, container: str, path: str) -> Entry | None:
        return None if (node := self.node(container, path)) is None else node.entry

    def has_path(self, container: str, path: str) -> bool:
        """Return whether there is such a container with something at the path."""
        return bool(path) and container in self.containers and self.entry(container, path) is not None

    def require_entry(self, container: str, path: str) -> Entry:
        if (entry := self.entry(container, path)) is None:
            raise Refused("PathNotFound")
        return entry

    def apply(self, record: Record) -> None:
        match record:
            case ContainerSet(name, entry):
                if (container := self.containers.get(name)) is None:
                    self.containers[name] = Container(entry)
                else:
                    container.entry = entry
            case ContainerRemoved(name):
                removed = self.containers.pop(name)
                self.path_count -= _count_nodes(removed.root) - 1
            case PathSet(container_name, path, entry):
                self._set(container_name, path, entry)
            case PathRemoved(container_name, path):
                self._detach(container_name, path)
            case PathRenamed(source_container, source, container_name, path):
                node = self._detach(source_container, source)
                if self.node(container_name, path) is not None:
                    self._detach(container_name, path)
                parent, name = self._parent(container_name, path)
                parent.put(name, node)
                self.path_count += _count_nodes(node)

    def records(self) -> Iterator[Record]:
        """Yield the records that recreate the current tree, without the changes that led to it."""
        for name, container in self.containers.items():
            yield ContainerSet(name, container.entry)
            yield PathSet(name, "", container.root.entry)
            for path, node in walk(container.root):
                yield PathSet(name, path, node.entry)

    def _set(self, container: str, path: str, entry: Entry) -> None:
        if not path:
            self.container(container).root.entry = entry
            return
        parent, name = self._parent(container, path)
        existing = parent.children.get(name)
        if existing is not None and existing.entry.is_directory == entry.is_directory:
            existing.entry = entry
            return
        parent.put(name, Node(entry))
        self.path_count += 1 - (_count_nodes(existing) if existing else 0)

    def _detach(self, container: str, path: str) -> Node:
        parent, name = self._parent(container, path)
        node = parent.children[name]
        parent.remove(name)
        self.path_count -= _count_nodes(node)
        return node

    def _parent(self, container: str, path: str) -> tuple[Node, str]:
        directory, _, name = path.rpartition("/")
        parent = self.node(container, directory)
        if parent is None:
            raise KeyError(f"{container}/{directory}")  # the store records parents before children
        return parent, name


def walk(
    directory: Node,
    base: str = "",
    *,
    after: str = "",
    inclusive: bool = False,
    prefix: str = "",
    recursive: bool = True,
) -> Iterator[tuple[str, Node]]:
    """Yield the paths below a directory in listing order, each directory before its children.

    The walk starts behind the key `after`, usually the last key of the previous page; a path with this key
    may have been deleted since. The key of a directory ends in a slash. With `inclusive`, a file whose path
    is exactly `after` is yielded too. `prefix` filters the names directly in `directory`.
    """
    first, _, rest = after.partition("/")
    resumed = first + "/" if "/" in after else first
    for key in directory.names_from(max(resumed, prefix)):
        name = key.removesuffix("/")
        if not name.startswith(prefix):
            return
        child, path = directory.children[name], f"{base}{name}"
        if key != resumed or (inclusive and key == after):
            yield path, child
        if recursive and child.entry.is_directory:
            deeper = rest if key == resumed else ""
            yield from walk(child, path + "/", after=deeper, inclusive=inclusive)


def list_key(path: str, node: Node) -> str:
    """Return the key to pass as `after`, so that `walk` continues behind this path."""
    return path + "/" if node.entry.is_directory else path


def _order_key(name: str, node: Node) -> str:
    return name + "/" if node.entry.is_directory else name


def _count_nodes(node: Node) -> int:
    return 1 + sum(map(_count_nodes, node.children.values()))
