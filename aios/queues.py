"""Queues and the policy that orders them, as records."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    priority: int
    max_running: int  # 0: no limit
    open: bool  # takes submissions
    started: bool  # starts jobs
    default_time_limit_s: float  # 0: none
    max_time_limit_s: float  # 0: none
    queued: int
    running: int
    oldest_wait_s: float
    mean_wait_s: float = 0.0  # of its jobs that started lately; 0: none did, or none waited


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    summary: str
    choices: tuple[PolicyChoice, ...]
