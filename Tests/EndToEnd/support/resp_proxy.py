"""A TCP proxy between the tool and Redis that reads what passes and meddles with it.

It takes one request at a time from a client, asks `rule` what to do with it, and passes the answer back. A request
is told by the name of its command, or of its script. Scripts come by their SHA-1 alone: the first time the proxy
says that there is none, is sent the source, and finds the file that it is most like. So a binary that is a little
older than the sources is no trouble.
"""

import dataclasses
import hashlib
import pathlib
import time

from resp_client import RedisAway, RespReader
from tcp_relay import TcpRelay

SCRIPTS = pathlib.Path(__file__).resolve().parents[3] / "Sources/BatchQueue/Redis/Scripts"


_names = {}


def learn(digest, source):
    """Names a script by the file that it shares most lines with; the prelude in front is in all of them."""
    lines = set(source.split(b"\n"))

    def likeness(file):
        own = set(file.read_bytes().split(b"\n"))
        return len(own & lines) / len(own)

    files = [file for file in SCRIPTS.glob("*.lua") if file.stem != "prelude"]
    _names[digest] = max(files, key=likeness).stem


@dataclasses.dataclass
class Request:
    """`name`: the script's, else the command's in capitals. `arguments`: ARGV of a script, else what follows."""

    name: str
    arguments: list
    answer: object = None


# What a rule may say; None passes the request, and its answer, on.
DROP_REQUEST = "the connection is reset before the server has heard of it"
DROP_ANSWER = "the server does it, the client's connection is reset instead of an answer"
SWALLOW_ANSWER = "the server does it, the answer never comes; the connection stays open"


@dataclasses.dataclass
class Answer:
    """The client gets these bytes; the server never hears of the request."""

    raw: bytes


class RespProxy(TcpRelay):
    """`rule(request)` is asked before a request is passed and may wait; `requests` are kept with their answers
    where `keeps(name)`. `delay`: seconds that each request takes longer."""

    def __init__(self, port, rule=None, keeps=lambda name: False, delay=0.0):
        self.rule = rule
        self.keeps = keeps
        self.delay = delay
        self.requests = []
        self._sent_scripts = set()
        super().__init__(port)

    def kept(self, name, answer=None) -> list:
        """The requests of this name that have been answered; those answered so."""
        with self._mutex:
            return [
                request
                for request in self.requests
                if request.name == name and (answer is None or request.answer == answer)
            ]

    def carry(self, client, server):
        said, answered = RespReader(client), RespReader(server)
        try:
            while True:
                request = self._request(said.read())
                if request is None:
                    client.sendall(b"-NOSCRIPT No matching script.\r\n")
                elif not self._pass_on(request, said.raw, client, server, answered):
                    return
        except RedisAway:
            return

    def _request(self, words):
        """None for a script that this server has not been sent: it could only answer that there is none, and a rule would
        lose that answer in place of the script's."""
        command = words[0].decode().upper()
        if command not in ("EVALSHA", "EVAL"):
            return Request(command, words[1:])
        digest = words[1].decode() if command == "EVALSHA" else hashlib.sha1(words[1]).hexdigest()
        with self._mutex:
            if command == "EVAL":
                if digest not in _names:
                    learn(digest, words[1])
                self._sent_scripts.add(digest)
            if digest not in self._sent_scripts:
                return None
        return Request(_names[digest], words[3 + int(words[2]) :])

    def _pass_on(self, request, raw, client, server, answered) -> bool:
        action = self.rule(request) if self.rule else None
        if action is DROP_REQUEST:
            return False
        if isinstance(action, Answer):
            client.sendall(action.raw)
            return True
        if self.delay:
            time.sleep(self.delay)
        server.sendall(raw)
        request.answer = answered.read()
        if self.keeps(request.name):
            with self._mutex:
                self.requests.append(request)
        if action is DROP_ANSWER:
            return False
        if action is not SWALLOW_ANSWER:
            client.sendall(answered.raw)
        return True
