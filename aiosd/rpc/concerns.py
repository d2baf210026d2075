"""What a request is about, in two or three words for the audit trail: "job 42", "queue night"."""

from collections.abc import Sequence

from google.protobuf.message import Message

from aios.v1.models_pb2 import DATASET

NOUNS = {
    "Jobs": "job",
    "Queues": "queue",
    "Node": "node",
    "Access": "user",
    "Admin": "state",
    "Simulation": "simulation",
    "Models": "model",
}
OF_METHODS = {
    "Queues.SetPolicy": "policy",
    "Access.RevokeToken": "token",
    "Node.SetDevice": "device",
    "Node.Unreserve": "reservation",
    "Node.Reserve": "reservation",
}
MODEL_NAMED_BY = ("ref", "model", "name", "path")  # first what it is about, and not what it comes from
NAMED_BY = ("ids", "id", "job_id", "name", "device_id", "user", "path")
MOST_IDS = 20


def concern(method: str, request: Message) -> str:
    """The noun of the method with what the request names; "" for a submission, which has no id yet."""
    if method == "Jobs.Submit":
        return ""
    noun = OF_METHODS.get(method) or NOUNS.get(method.partition(".")[0], "")
    if noun == "model" and getattr(request, "kind", 0) == DATASET:
        noun = "dataset"
    for field in MODEL_NAMED_BY if method.startswith("Models.") else NAMED_BY:
        value = getattr(request, field, None)
        if value:
            return listed(noun, list(value)) if field == "ids" else f"{noun} {value}"
    return noun


def listed(noun: str, ids: Sequence[str]) -> str:
    """Such as "job 1, 2, 3": the first of them, and how many more."""
    more = f" and {len(ids) - MOST_IDS} more" if len(ids) > MOST_IDS else ""
    return f"{noun} {', '.join(ids[:MOST_IDS])}{more}"
