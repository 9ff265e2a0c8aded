"""An application that reads all the while, and now and then writes a value under the new key."""

import random
import threading
import time

import psycopg2

from adversary_tables import new


class Application(threading.Thread):
    def __init__(self, world, seed):
        super().__init__(daemon=True)
        self.world = world
        self.random = random.Random(seed)
        self.reads = self.writes = 0
        self._stop_event = threading.Event()

    def stop(self):
        self._stop_event.set()
        self.join(40)

    def run(self):
        connection = self.world.connect("application", lock_timeout=30)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                while not self._stop_event.is_set():
                    table = self.random.choice(self.world.tables)
                    try:
                        cursor.execute(f"SELECT secret FROM public.{table.name} WHERE id = %s", (self.random.randint(1, 60),))
                        self.reads += 1
                        if self.random.random() < 0.1:
                            cursor.execute(
                                f"UPDATE public.{table.name} SET secret = {table.value} WHERE id = %s",
                                (new("application"), self.random.randint(1, 40)))  # fmt: skip
                            self.writes += 1
                    except psycopg2.Error as error:
                        # A deed has renamed or dropped what it asked for.
                        if connection.closed:
                            self.world.log(f"-- application: {error}")
                            return
                    time.sleep(0.01)
        finally:
            connection.close()
