"""An application beside the tool: reads and updates of single rows at a fixed rate, on the table that is rotated.

    application_load.py URL TABLE RATE CONNECTIONS     until its input ends

Half of the statements read a row by its key, half update a column of one that is not encrypted. Each has its time: a
statement that is late because the one before it was slow counts from when it should have been sent. Prints one JSON
object: for each statement when it was due (epoch seconds) and how long it took (ms).
"""

import json
import random
import sys
import threading
import time

import psycopg2


def work(url, table, ids, first, interval, stop, results):
    connection = psycopg2.connect(url, application_name="application")
    connection.autocommit = True
    found = []
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE read (uuid) AS SELECT note FROM {table} WHERE id = $1")
        cursor.execute(f"PREPARE change (uuid) AS UPDATE {table} SET note = note + 1 WHERE id = $1")
        moment = first
        while not stop.wait(max(0, moment - time.time())):
            statement = "read" if random.random() < 0.5 else "change"
            cursor.execute(f"EXECUTE {statement} (%s)", (random.choice(ids),))
            found.append((moment, (time.time() - moment) * 1_000))
            moment += interval
    connection.close()
    results.append(found)


def main():
    url, table = sys.argv[1:3]
    rate, connections = float(sys.argv[3]), int(sys.argv[4])
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id::text FROM {table} TABLESAMPLE system (5) LIMIT 50000")
        ids = [row[0] for row in cursor.fetchall()]
    connection.close()
    start = time.time() + 0.5
    stop = threading.Event()
    results = []
    threads = [
        threading.Thread(
            target=work, args=(url, table, ids, start + number / rate, connections / rate, stop, results)
        )
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    json.dump(sorted(sum(results, [])), sys.stdout)


if __name__ == "__main__":
    main()
