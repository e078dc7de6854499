"""A minimum vertex cut: the cheapest vertices that part every source from every sink.

Dinic's algorithm on the graph in which each vertex is an edge from its entry to its exit
(Dinitz, "Algorithm for solution of a problem of maximum flow in networks", 1970).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V", bound=Hashable)
_ENDLESS = 1 << 60
_SOURCE, _SINK = 0, 1


class Network(Generic[V]):
    """A directed graph with costs at its vertices."""

    def __init__(self) -> None:
        self._entry: dict[V, int] = {}  # the exit is the next number
        self._heads: list[list[int]] = [[], []]  # node -> its edges
        self._to: list[int] = []
        self._room: list[int] = []  # edge e and its reverse e ^ 1
        self._vertices: dict[int, V] = {}  # edge of a vertex -> the vertex

    def vertex(self, name: V, cost: int | None) -> None:
        """Give a vertex its cost; None: it is never cut."""
        entry = self._node(name)
        self._vertices[len(self._to)] = name
        self._connect(entry, entry + 1, _ENDLESS if cost is None else cost)

    def edge(self, one: V, other: V) -> None:
        """`other` follows from `one`."""
        self._connect(self._node(one) + 1, self._node(other), _ENDLESS)

    def source(self, name: V) -> None:
        self._connect(_SOURCE, self._node(name), _ENDLESS)

    def sink(self, name: V) -> None:
        self._connect(self._node(name) + 1, _SINK, _ENDLESS)

    def cut(self) -> set[V]:
        """The cheapest vertices that every way from a source to a sink goes through.

        Of all such sets, the one nearest to the sinks. Raises ValueError where there is none.
        """
        while self._levels():
            self._saturate()
        near = self._reach_sink()
        if _SOURCE in near:
            raise ValueError("a way from a source to a sink has no vertex that can be cut")
        return {
            vertex
            for edge, vertex in self._vertices.items()
            if self._to[edge] in near and self._to[edge ^ 1] not in near
        }

    def _node(self, name: V) -> int:
        if name not in self._entry:
            self._entry[name] = len(self._heads)
            self._heads += [[], []]
        return self._entry[name]

    def _connect(self, one: int, other: int, room: int) -> None:
        for start, end, space in ((one, other, room), (other, one, 0)):
            self._heads[start].append(len(self._to))
            self._to.append(end)
            self._room.append(space)

    def _levels(self) -> bool:
        """Distances from the source along edges with room; False where the sink is not reached."""
        self._level = [-1] * len(self._heads)
        self._level[_SOURCE] = 0
        queue = deque([_SOURCE])
        while queue:
            node = queue.popleft()
            for edge in self._heads[node]:
                end = self._to[edge]
                if self._room[edge] and self._level[end] < 0:
                    self._level[end] = self._level[node] + 1
                    queue.append(end)
        return self._level[_SINK] >= 0

    def _saturate(self) -> None:
        """Push flow along shortest ways until each has a full edge."""
        following = [0] * len(self._heads)
        path: list[int] = []
        node = _SOURCE
        while True:
            if node == _SINK:
                flow = min(self._room[edge] for edge in path)
                if flow >= _ENDLESS:
                    raise ValueError("a way from a source to a sink has no vertex that can be cut")
                for edge in path:
                    self._room[edge] -= flow
                    self._room[edge ^ 1] += flow
                path, node = [], _SOURCE
                continue
            edges = self._heads[node]
            while following[node] < len(edges):
                edge = edges[following[node]]
                end = self._to[edge]
                if self._room[edge] and self._level[end] == self._level[node] + 1:
                    path.append(edge)
                    node = end
                    break
                following[node] += 1
            else:
                if node == _SOURCE:
                    return
                self._level[node] = -1
                node = self._to[path.pop() ^ 1]

    def _reach_sink(self) -> set[int]:
        """The nodes from which the sink can be reached along edges with room."""
        near, stack = {_SINK}, [_SINK]
        while stack:
            node = stack.pop()
            for edge in self._heads[node]:
                start = self._to[edge]
                if self._room[edge ^ 1] and start not in near:
                    near.add(start)
                    stack.append(start)
        return near
