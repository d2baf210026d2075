"""`#SBATCH` lines as options: what is translated, what is refused, what is only warned about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosctl.failures import WrongUsage
from aiosctl.slurm import Words, slurm_seconds, translated


def words(*lines: str) -> list[str]:
    """The options that these directives become."""
    out, warnings = translated([Words(number, tuple(line.split())) for number, line in enumerate(lines, 2)], "job.sh")
    assert warnings == []
    return [word for _, found in out for word in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--job-name=net", "--name net"), ("-J net", "--name net"), ("-Jnet", "--name net"), ("-o out-%j_%a.txt", "--output out-%j_%a.txt"),
        ("--output=%x-%A.log", "--output %x-%j.log"), ("-e err", "--error err"), ("-c 8", "--cpus 8"), ("-n 4", "--cpus 4"), ("--ntasks=2 --cpus-per-task=3", "--cpus 6"),
        ("--ntasks-per-node=2", "--cpus 2"), ("--mem=4000", "--memory 4096000KiB"), ("--mem=16G", "--memory 16777216KiB"), ("--mem=512MB", "--memory 524288KiB"),
        ("-c 4 --mem-per-cpu=2G", "--cpus 4 --memory 8388608KiB"), ("--gres=gpu:2", "--gpus 2"), ("--gres=gpu:a100:2", "--gpus a100:2"), ("--gres=gpu", "--gpus 1"),
        ("--gres=gpu:a100", "--gpus a100:1"), ("--gres=fpga:2,gpu:1", "--gres fpga=2 --gpus 1"), ("--gres=fpga:u250:2", "--gres fpga:u250=2"), ("--gres=none", ""), ("-G 2", "--gpus 2"), ("--gpus=v100:1", "--gpus v100:1"),
        ("--gpus-per-node=4", "--gpus 4"), ("-n 2 --gpus-per-task=2", "--cpus 2 --gpus 4"), ("-t 30", "--time 1800s"), ("--time=UNLIMITED", ""), ("-a 0-15%4", "--array 0-15%4"),
        ("-d afterok:1:2,afterany:3", "--after-ok 1 --after-ok 2 --after-any 3"), ("--dependency=afternotok:7_3", "--after-failed 7.3"), ("-d after:9", "--after 9"),
        ("-b now+1hour", "--begin now+1hour"), ("--begin=midnight", "--begin 00:00"), ("--priority=50", "--priority 50"), ("--nice=20", "--priority -20"), ("--nice", "--priority -100"),
        ("--priority=50 --nice=20", "--priority 30"), ("-H", "--hold"), ("--hold", "--hold"), ("--requeue", "--retries 3 --retry-on preempt,lost"), ("--no-requeue", "--retries 0"),
        ("--exclusive", "--exclusive"), ("--exclusive=user", "--exclusive"), ("-p gpu", "--queue gpu"), ("-A lab", "--account lab"), ("--export=NONE", "--export NONE"), ("-D /data", "--cwd /data"),
        ("--comment=hi", "--label comment=hi"), ("-N 1", ""), ("--nodes=1-1", ""),
    ],
)  # fmt: skip
def test_what_an_option_becomes(line: str, expected: str) -> None:
    assert words(line) == expected.split()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800), ("30:15", 1815), ("2:30:15", 9015), ("1-12", 129600), ("1-12:30", 131400), ("1-12:30:15", 131415), ("0", None), ("infinite", None)],
)
def test_all_forms_of_a_slurm_time(text: str, seconds: int | None) -> None:
    assert slurm_seconds(text) == seconds


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--nodes=4", "this is one machine"), ("--time=soon", "not a Slurm time"), ("--mem=lots", "not a size"), ("--mem=0", "all of the memory"), ("-c many", "not a whole number"),
        ("-c 0", "not a whole number"), ("--dependency=singleton", "'singleton' is not supported"), ("-d afterok", "not supported"), ("-d afterok:x", "'x' is not a job id"),
        ("-d afterok:1?afterok:2", "not supported"), ("-d after:5+10", "not a job id"), ("--gres=gpu:a:b:c", "cannot be read"), ("-o out.%q", "%q is not known"),
        ("--gpus=a100:1,v100:1", "several models"), ("--mem-per-gpu=4G", "a job or a processor"), ("-J", "needs a value"), ("--time", "needs a value"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        translated([Words(7, tuple(line.split()))], "job.sh")
    assert said in refused.value.message and refused.value.message.startswith("job.sh:7: ")


def test_what_is_not_known_is_a_warning_that_names_the_line() -> None:
    lines = [Words(3, ("--mail-type=END", "--mail-user", "ada@example.org", "-J", "net")), Words(4, ("--constraint=intel",))]
    out, warnings = translated(lines, "job.sh")
    assert [found for _, found in out] == [("--name", "net")]
    assert warnings == [
        "job.sh:3: #SBATCH --mail-type=END is ignored: mail is not sent", "job.sh:3: #SBATCH --mail-user is ignored: mail is not sent",
        "job.sh:4: #SBATCH --constraint=intel is ignored: it is not known here",
    ]  # fmt: skip


@given(st.lists(st.text("-=:,%0123456789abcdefghijklmnoprstuxJNHGz?+ \x00é", max_size=14), max_size=4))
def test_any_words_are_translated_or_refused(line: list[str]) -> None:
    try:
        out, warnings = translated([Words(2, tuple(line))], "job.sh")
    except WrongUsage as refused:
        assert refused.message.startswith("job.sh:2: ")
    else:
        assert all(isinstance(word, str) for _, found in out for word in found) and all(w.startswith("job.sh:2: ") for w in warnings)


@given(st.text(max_size=20))
def test_any_text_is_a_slurm_time_or_a_value_error(text: str) -> None:
    try:
        seconds = slurm_seconds(text)
    except ValueError:
        return
    assert seconds is None or seconds >= 0
