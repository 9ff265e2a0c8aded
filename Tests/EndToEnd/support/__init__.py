"""What the end-to-end tests are made of: the tool as a process, tables whose plaintexts are known, proxies, fixtures.

A test imports from here by name (`from support.waiting import wait_until`). Nothing in here is a test or asserts what the
tool promises. The fixtures of `queue_fixtures` are registered in conftest.py; they need no import.
"""
