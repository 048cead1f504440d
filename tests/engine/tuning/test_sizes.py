"""Which batch sizes are tried and suggested, against memory and speed that are made up."""

from __future__ import annotations

import pytest

from visionkit.engine.tuning.sizes import Row, by_memory, by_speed, largest, quickest

GB = 2**30


class Machine:
    """Takes `room` images, each `weight` bytes over `floor`; its speed is `speeds` or grows without end."""

    def __init__(self, room: int = 10**9, floor: int = 0, weight: int = 1, speeds: tuple[float, ...] = ()) -> None:
        self.room, self.floor, self.weight, self.speeds = room, floor, weight, speeds
        self.tried: list[int] = []

    def __call__(self, size: int) -> Row | None:
        self.tried.append(size)
        if size > self.room:
            return None
        speed = self.speeds[len(self.tried) - 1] if self.speeds else float(size)
        return Row(size, speed, self.floor + size * self.weight)


@pytest.mark.parametrize("room", [2, 3, 4, 5, 17, 31, 32, 33, 100, 1000, 4095])
def test_the_largest_that_fits_is_found_to_a_sixteenth(room: int) -> None:
    machine = Machine(room)
    rows, failed = by_memory(machine, most=100_000)
    fits = max(row.batch_size for row in rows)
    assert failed is not None
    assert fits <= room < failed
    assert failed - fits <= max(1, fits // 16)
    assert [row.batch_size for row in rows] == sorted(row.batch_size for row in rows)
    assert len(machine.tried) == len(set(machine.tried)) < 22
    safe = largest(rows, failed)
    assert 1 <= safe <= max(0.9 * fits, 1)
    assert safe % 8 == 0 or safe < 8
    assert safe > 0.9 * fits - 9


def test_data_that_fit_as_a_whole_need_no_margin() -> None:
    rows, failed = by_memory(Machine(), most=100)
    assert [row.batch_size for row in rows] == [2, 4, 8, 16, 32, 64]
    assert failed is None
    assert largest(rows, failed) == 64


def test_nothing_fits() -> None:
    assert by_memory(Machine(1), most=100) == ([], 2)
    assert by_speed(Machine(1), 100, 0, GB) == ([], 2)


def test_a_single_image() -> None:
    assert [row.batch_size for row in by_memory(Machine(), most=1)[0]] == [1]


def test_the_row_ends_before_memory_would() -> None:
    machine = Machine(floor=GB, weight=GB // 64)
    rows, failed = by_speed(machine, most=10**6, floor=GB, limit=2 * GB)
    assert machine.tried == [2, 4, 8, 16, 32, 64]  # 64 take a GB over the floor
    assert failed is None
    assert by_speed(Machine(floor=GB, weight=GB // 64), 10**6, GB, 2 * GB - 1)[0] == rows[:-1]


def test_the_row_ends_when_memory_does() -> None:
    rows, failed = by_speed(Machine(10), most=100, floor=0, limit=GB)
    assert ([row.batch_size for row in rows], failed) == ([2, 4, 8], 16)


def test_the_row_ends_when_two_doublings_bring_nothing() -> None:
    machine = Machine(speeds=(10, 20, 19, 40, 39, 38, 99))
    rows, _ = by_speed(machine, most=10**6, floor=0, limit=GB)
    assert machine.tried == [2, 4, 8, 16, 32, 64]
    assert quickest(rows) == 16


@pytest.mark.parametrize(("speeds", "best"), [((10, 94, 96, 100), 8), ((10, 95, 96, 100), 4), ((10, 50, 90, 100), 16)])
def test_the_smallest_within_a_twentieth_of_the_best(speeds: tuple[float, ...], best: int) -> None:
    rows = [Row(2 ** (place + 1), speed, 0) for place, speed in enumerate(speeds)]
    assert quickest(rows) == best
