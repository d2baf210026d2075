"""The call of the client that asks how long jobs will wait."""

from typing import TYPE_CHECKING

from aios._calls import Calls
from aios.units import parse_seconds

if TYPE_CHECKING:
    from aios.forecast import Forecast

_PATIENCE_S = 600.0  # replays of a long history take a while


class ForecastCalls(Calls):
    """The call of `aios.Client` that asks how long jobs will wait."""

    def forecast(
        self,
        *,
        since: str | float = 0.0,
        queue: str = "",
        user: str = "",
        resource: str = "",
        servers: int = 0,
        arrivals: float = 1.0,
        target_wait: str | float = 0.0,
        seed: int = 0,
        timeout: float | None = None,
    ) -> "Forecast":
        """What theory, a replay of this machine's past, and the past itself say of waits.

        since         only jobs that were submitted so long ago at most; 0: all that have ended
        queue, user   replay and measurement of these jobs only; everybody's jobs are on the machine all the same
        resource      "gpu" or "cpu": what counts as a server; "": the scarcer
        servers       what if there were so many more, or fewer
        arrivals      what if so many times as many jobs came; which ones is by chance, of `seed`
        target_wait   how many servers would so long a mean wait take; 0: not asked
        raises        FailedPrecondition while fewer than 30 jobs have ended; NotFound where none is of that queue and user
        """
        import json

        from aios.forecast import forecast_of
        from aios.v1 import simulation_pb2 as pb

        request = pb.ForecastRequest(
            since_s=parse_seconds(since, zero=True),
            queue=queue,
            user=user,
            resource=resource,
            servers_delta=servers,
            arrivals_factor=arrivals,
            target_wait_s=parse_seconds(target_wait, zero=True),
            seed=seed,
        )
        answer = self._channel.unary("Simulation/Forecast", request, pb.ForecastResponse, _PATIENCE_S if timeout is None else timeout)
        return forecast_of(json.loads(answer.report_json))
