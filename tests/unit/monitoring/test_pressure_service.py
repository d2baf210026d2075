"""The loop over the pressure: who is told, and when."""

import asyncio

from aiosd.errors import DiskFull
from aiosd.monitoring.pressure import PressureLook, PressureSettings
from aiosd.monitoring.pressure_service import PressureService

CALM, SHORT = PressureLook(1 << 34, 1 << 35, 0.0), PressureLook(1 << 34, 1 << 35, 0.9)


class Played:
    """Shows these looks one after another, the last for ever."""

    def __init__(self, *looks: PressureLook) -> None:
        self.looks = list(looks)

    def look(self) -> PressureLook:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def told(*looks: PressureLook, refused: int = 0) -> list[str]:
    """What the engine hears over these looks."""
    heard: list[str] = []

    async def hold_back(reason: str) -> None:
        nonlocal refused
        if refused:
            refused -= 1
            raise DiskFull("no room")
        heard.append(reason)

    async def all_of_them() -> None:
        service = PressureService(Played(*looks), hold_back, PressureSettings(), 1.0)
        for _ in looks:
            await service.look()

    asyncio.run(all_of_them())
    return heard


def test_a_calm_machine_says_nothing() -> None:
    assert told(CALM, CALM) == []


def test_the_engine_is_told_once_and_told_when_it_is_over() -> None:
    heard = told(CALM, SHORT, SHORT, CALM, CALM, CALM)
    assert len(heard) == 2
    assert "waited for memory 90%" in heard[0]
    assert heard[1] == ""


def test_what_could_not_be_told_is_told_after_the_next_look() -> None:
    assert len(told(SHORT, SHORT, refused=1)) == 1


def test_the_first_look_comes_before_anything_starts() -> None:
    async def nobody(_: str) -> None:
        raise AssertionError("the engine was told already")

    async def looked() -> None:
        service = PressureService(Played(SHORT), nobody, PressureSettings(), 1.0)
        assert "waited for memory" in service.begin()
        assert service.warnings[0].startswith("no job starts: processes waited")
        await service.look()

    asyncio.run(looked())


def test_a_change_of_the_settings_hurries_the_loop() -> None:
    heard: list[str] = []

    async def hold_back(reason: str) -> None:
        heard.append(reason)

    async def watched() -> None:
        service = PressureService(Played(PressureLook(1 << 30, 1 << 35, None)), hold_back, PressureSettings(), 1000.0)
        async with asyncio.TaskGroup() as tasks:
            loop = tasks.create_task(service.run())
            await asyncio.sleep(0)
            service.use(PressureSettings(available_bytes=1 << 40), 1000.0)
            async with asyncio.timeout(30):
                while not heard:
                    await asyncio.sleep(0)
            loop.cancel()

    asyncio.run(watched())
    assert heard[0].startswith("only 1 GiB of the machine's memory are available")
