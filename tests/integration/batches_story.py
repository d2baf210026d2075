"""A program that registers or imports what has many chunks, ten rows in a transaction, to be killed between two: DIRECTORY PATH."""

import asyncio
import sys
from pathlib import Path

from aiosd.host import faults
from tests.integration.carrying import side


async def story(directory: Path, path: Path) -> None:
    async with side(directory, reached=faults.reached, at_once=10) as store:
        await (store.register(path, "many") if path.is_dir() else store.import_(path, model="many"))


if __name__ == "__main__":
    asyncio.run(story(Path(sys.argv[1]), Path(sys.argv[2])))
