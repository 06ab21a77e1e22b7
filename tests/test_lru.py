"""The store in memory: bounded in bytes and in time, the least recently used goes first."""

import threading

import pytest

from backend.lru import ByteLRU


def test_put_beyond_the_capacity_drops_what_was_not_used_for_longest() -> None:
    lru: ByteLRU[str, int] = ByteLRU(30, 60)
    for key in "abc":
        lru.put(key, ord(key), 10)
    assert lru.get("a") == ord("a")
    lru.put("d", 4, 10)
    assert [key for key in "abcd" if lru.get(key) is not None] == ["a", "c", "d"]
    assert lru.byte_size == 30


def test_put_of_something_too_large_keeps_the_rest() -> None:
    lru: ByteLRU[str, int] = ByteLRU(30, 60)
    lru.put("a", 1, 10)
    lru.put("b", 2, 31)
    assert (lru.get("a"), lru.get("b"), lru.byte_size) == (1, None, 10)


def test_put_again_counts_once() -> None:
    lru: ByteLRU[str, int] = ByteLRU(30, 60)
    lru.put("a", 1, 20)
    lru.put("a", 2, 5)
    assert (lru.get("a"), lru.byte_size, len(lru)) == (2, 5, 1)


def test_get_after_its_time_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("backend.lru.time.monotonic", lambda: now[0])
    lru: ByteLRU[str, int] = ByteLRU(30, 60)
    lru.put("a", 1, 10)
    now[0] = 159.9
    assert lru.get("a") == 1
    now[0] = 160.0
    assert (lru.get("a"), lru.byte_size) == (None, 0)


def test_discard_and_clear_give_the_bytes_back() -> None:
    lru: ByteLRU[str, int] = ByteLRU(30, 60)
    for key in "abc":
        lru.put(key, 1, 10)
    lru.discard("a")
    lru.discard("never there")
    assert (lru.byte_size, len(lru)) == (20, 2)
    lru.clear()
    assert (lru.byte_size, len(lru)) == (0, 0)


def test_many_threads_leave_the_count_right() -> None:
    lru: ByteLRU[int, int] = ByteLRU(500, 60)

    def work(seed: int) -> None:
        for number in range(3000):
            key = (seed * 7919 + number * 31) % 97
            if number % 3:
                lru.put(key, number, 1 + key % 20)
            elif number % 2:
                lru.get(key)
            else:
                lru.discard(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lru.byte_size == sum(1 + key % 20 for key in range(97) if lru.get(key) is not None) <= 500
