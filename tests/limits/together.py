"""Many threads that do something at the same moment."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def together(count: int, act: Callable[[int], Result]) -> list[Result]:
    """What `act(0)` … `act(count - 1)` returned, all begun at once; raises what one of them raised."""
    results: list[Result] = []
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            start.wait(60)
            results.append(act(number))
        except BaseException as error:  # noqa: BLE001 - raised by whoever asked
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
