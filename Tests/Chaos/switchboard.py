"""Every connection of the processes under test passes here: one route for each process and server.

A route can be *held* (a network split: nothing passes, nothing is lost, and it goes on afterwards as TCP does),
*holed* (its connections of now swallow all that is said, in both directions, for ever, and neither end is told; new
ones work) and *reset*. It runs as a process of its own, so that the chaos run's own work does not slow what passes.
"""

import asyncio
import collections
import multiprocessing
import signal
import socket
import struct
import threading
import time

_context = multiprocessing.get_context("fork")


class Switchboard:
    """`routes`: name → kind; a kind's target port can be moved, as a failover does."""

    def __init__(self, routes, targets):
        self._pipe, theirs = _context.Pipe()
        self._mutex = threading.Lock()
        self._process = _context.Process(target=_run, args=(theirs, routes, targets), daemon=True)
        self._process.start()
        theirs.close()
        self.ports = self._pipe.recv()

    def _call(self, name, *arguments):
        with self._mutex:
            self._pipe.send((name, arguments))
            return self._pipe.recv()

    def hold(self, *names):
        self._call("hold", names)

    def release(self, *names):
        self._call("release", names)

    def hole(self, *names) -> int:
        """How many connections there were to lose."""
        return self._call("hole", names)

    def reset(self, *names) -> int:
        return self._call("reset", names)

    def retarget(self, kind, port):
        self._call("retarget", kind, port)

    def last_answer(self, name) -> float:
        """When a server's bytes last went through the route (monotonic)."""
        return self._call("last_answer", name)

    def swallowed_at(self, name):
        """When the route's last black hole first took something that a client said; None yet."""
        return self._call("swallowed_at", name)

    def owner(self, port):
        """The route whose connection has this port towards the server."""
        return self._call("owner", port)

    def close(self):
        self._process.kill()
        self._process.join(10)


def _run(pipe, routes, targets):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(pipe, routes, targets))


async def _serve(pipe, names, targets):
    loop = asyncio.get_running_loop()
    board = _Board(loop, targets)
    ports = {}
    for name, kind in names.items():
        route = board.routes[name] = _Route(name, kind, board)
        server = await loop.create_server(lambda route=route: _Client(route), "127.0.0.1", 0, backlog=128)
        ports[name] = server.sockets[0].getsockname()[1]
        board.servers.append(server)
    pipe.send(ports)
    ended = asyncio.Event()

    def answer():
        try:
            name, arguments = pipe.recv()
        except EOFError:
            ended.set()
            return
        pipe.send(getattr(board, name)(*arguments))

    loop.add_reader(pipe.fileno(), answer)
    await ended.wait()


class _Board:
    def __init__(self, loop, targets):
        self.loop = loop
        self.targets = dict(targets)
        self.routes = {}
        self.servers = []
        self.owners = collections.OrderedDict()

    def hold(self, names):
        for name in names:
            self.routes[name].hold()

    def release(self, names):
        for name in names:
            self.routes[name].release()

    def hole(self, names):
        return sum(self.routes[name].hole() for name in names)

    def reset(self, names):
        return sum(self.routes[name].reset() for name in names)

    def retarget(self, kind, port):
        self.targets[kind] = port

    def last_answer(self, name):
        return self.routes[name].last_answer

    def swallowed_at(self, name):
        return self.routes[name].swallowed_at

    def owner(self, port):
        return self.owners.get(port)


class _Route:
    def __init__(self, name, kind, board):
        self.name, self.kind, self.board = name, kind, board
        self.is_held = False
        self.links = set()
        self.last_answer = 0.0
        self.swallowed_at = None

    def hold(self):
        self.is_held = True
        for link in self.links:
            link.adjust()

    def release(self):
        self.is_held = False
        for link in list(self.links):
            link.adjust()

    def hole(self):
        concerned = [link for link in self.links if not link.is_holed]
        self.swallowed_at = None
        for link in concerned:
            link.is_holed = True
        return len(concerned)

    def reset(self):
        concerned = list(self.links)
        for link in concerned:
            link.reset()
        return len(concerned)


class _Link:
    """A client's connection and the one to the server behind it."""

    def __init__(self, route, client):
        self.route, self.client, self.server = route, client, None
        self.is_holed = False
        self.early = b""
        self._is_dialling = False
        route.links.add(self)
        self.adjust()

    def adjust(self):
        """Reads where it may; dials once it may."""
        held = self.route.is_held
        if self.server is None:
            _set_reading(self.client, False)
            if not held and not self._is_dialling:
                self._is_dialling = True
                self._dialling = self.route.board.loop.create_task(self._dial())
            return
        for end, other in ((self.client, self.server), (self.server, self.client)):
            _set_reading(end, not held and not other.is_full)

    async def _dial(self):
        try:
            await self.route.board.loop.create_connection(
                lambda: _Server(self), "127.0.0.1", self.route.board.targets[self.route.kind]
            )
        except OSError:
            self.reset()

    def reset(self):
        self.route.links.discard(self)
        for end in (self.client, self.server):
            if end is not None:
                _reset(end.transport)

    def passed_on(self, data, to):
        if self.server is None:
            # Said before reading could be paused.
            self.early += data
        elif not self.is_holed:
            to.transport.write(data)

    def ended(self, end):
        """One end has closed. In a black hole the other one does not hear of it."""
        if self.is_holed and end is self.client:
            return
        if self.is_holed and end is self.server:
            return
        self.route.links.discard(self)
        other = self.server if end is self.client else self.client
        if other is not None:
            other.transport.close()


class _End(asyncio.Protocol):
    link = None
    transport = None
    is_full = False
    is_reading = True

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pause_writing(self):
        self.is_full = True
        self.link.adjust()

    def resume_writing(self):
        self.is_full = False
        self.link.adjust()

    def connection_lost(self, _):
        if self.link is not None:
            self.link.ended(self)


class _Client(_End):
    def __init__(self, route):
        self.route = route

    def connection_made(self, transport):
        super().connection_made(transport)
        self.link = _Link(self.route, self)

    def data_received(self, data):
        route = self.link.route
        if self.link.is_holed and route.swallowed_at is None:
            route.swallowed_at = time.monotonic()
        self.link.passed_on(data, self.link.server)


class _Server(_End):
    def __init__(self, link):
        self.link = link

    def connection_made(self, transport):
        super().connection_made(transport)
        if self.link.client.transport.is_closing():
            self.link.ended(self.link.client)
            transport.close()
            return
        self.link.server = self
        transport.write(self.link.early)
        owners = self.link.route.board.owners
        owners[transport.get_extra_info("sockname")[1]] = self.link.route.name
        while len(owners) > 4000:
            owners.popitem(last=False)
        self.link.adjust()

    def data_received(self, data):
        if not self.link.is_holed:
            self.link.route.last_answer = time.monotonic()
        self.link.passed_on(data, self.link.client)


def _set_reading(end, reads):
    if end.is_reading == reads or end.transport.is_closing():
        return
    end.is_reading = reads
    if reads:
        end.transport.resume_reading()
    else:
        end.transport.pause_reading()


def _reset(transport):
    try:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    transport.abort()
