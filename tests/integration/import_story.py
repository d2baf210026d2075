"""A program that imports a bundle into a store, to be killed on its way: DIRECTORY FILE."""

import asyncio
import sys
from pathlib import Path

from aiosd.host import faults
from tests.integration.carrying import side


async def story(directory: Path, file: Path) -> None:
    async with side(directory) as there:
        there.care.reached = faults.reached
        await there.import_(file)


if __name__ == "__main__":
    asyncio.run(story(Path(sys.argv[1]), Path(sys.argv[2])))
