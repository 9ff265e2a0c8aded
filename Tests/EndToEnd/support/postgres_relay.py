"""What every proxy between the tool and PostgreSQL is made of: a relay that knows which statement a message executes."""

import re
import select

from support.frontend_messages import FrontendMessages
from tcp_relay import BLOCK, TcpRelay

STATEMENTS = {
    "BEGIN": re.compile(r"^\s*(BEGIN|START\s+TRANSACTION)\b", re.I),
    "SELECT": re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", re.I),
    "UPDATE": re.compile(r"^\s*(WITH\b.*\b)?UPDATE\b", re.I | re.S),
    "COMMIT": re.compile(r"^\s*(COMMIT|END)\b", re.I),
}


class Session(FrontendMessages):
    """One client's connection, and the messages that are on their way to the server."""

    def __init__(self, relay, client, server):
        super().__init__()
        self.relay, self.client, self.server = relay, client, server
        self._on_their_way = b""

    def pass_on(self, message):
        """Sent together with what follows in the same block, or by `flush`."""
        self._on_their_way += message

    def flush(self):
        messages, self._on_their_way = self._on_their_way, b""
        if messages:
            self.server.sendall(messages)


class PostgresRelay(TcpRelay):
    # What a subclass keeps of each connection.
    session = Session

    def meet(self, message, sql, session) -> bool:
        """Is asked about each message, with the SQL that it executes or None. It passes the message on, or does not.
        False ends the connection."""
        session.pass_on(message)
        return True

    def carry(self, client, server):
        session = self.session(self, client, server)
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(BLOCK)
                if not data:
                    return
                if ready is server:
                    client.sendall(data)
                    continue
                for message, sql in session.read(data):
                    if not self.meet(message, sql, session):
                        return
                session.flush()
