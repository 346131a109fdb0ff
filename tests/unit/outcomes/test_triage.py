"""Listed exceptions become reasons, by their whole chain; everything else stays a failure."""

from __future__ import annotations

import errno
from collections.abc import Callable

import httpx2
import pytest
from huggingface_hub import errors
from safetensors import SafetensorError

from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode
from compat.outcomes.triage import exception_chain, is_out_of_memory, triage


def response(status: int) -> httpx2.Response:
    request = httpx2.Request("GET", "https://huggingface.co/api/models/org/name")
    return httpx2.Response(status, request=request)


def hub_error(
    kind: type[errors.HfHubHTTPError], status: int, text: str = "refused"
) -> errors.HfHubHTTPError:
    return kind(text, response=response(status))


def chained(*links: BaseException) -> BaseException:
    """Raise the last link, and each before it from the one after; return what comes out."""
    inner: BaseException | None = None
    for link in reversed(links):
        try:
            raise link from inner
        except BaseException as error:
            inner = error
    assert inner is not None
    return inner


def offline(cause: BaseException) -> tuple[BaseException, ...]:
    return (
        OSError("We couldn't connect to 'https://huggingface.co' to load the files"),
        errors.LocalEntryNotFoundError("An error happened while trying to locate the file"),
        cause,
    )


HUB_CHAINS = {
    "gated, no token": (
        ReasonCode.NO_TOKEN,
        (OSError("You are trying to access a gated repo."), hub_error(errors.GatedRepoError, 401)),
    ),
    "gated, no access": (
        ReasonCode.GATED,
        (OSError("You are trying to access a gated repo."), hub_error(errors.GatedRepoError, 403)),
    ),
    "no such repository": (
        ReasonCode.NOT_FOUND,
        (
            OSError("org/name is not a local folder and is not a valid model identifier"),
            hub_error(errors.RepositoryNotFoundError, 404),
        ),
    ),
    "no such revision": (
        ReasonCode.NOT_FOUND,
        (OSError("nope is not a valid git"), hub_error(errors.RevisionNotFoundError, 404)),
    ),
    "disabled": (ReasonCode.NOT_FOUND, offline(hub_error(errors.DisabledRepoError, 403))),
    "offline by flag": (
        ReasonCode.OFFLINE,
        offline(errors.OfflineModeIsEnabled("outgoing traffic has been disabled")),
    ),
    "connection refused": (ReasonCode.OFFLINE, offline(httpx2.ConnectError("refused"))),
    "not in the cache": (
        ReasonCode.OFFLINE,
        (OSError("We couldn't connect"), errors.LocalEntryNotFoundError("outgoing traffic")),
    ),
    "too many requests": (ReasonCode.RATE_LIMITED, offline(hub_error(errors.HfHubHTTPError, 429))),
    "hub down": (ReasonCode.OFFLINE, offline(hub_error(errors.HfHubHTTPError, 503))),
    "broken off": (
        ReasonCode.INCOMPLETE_DOWNLOAD,
        (OSError("Can't load the model for 'org/name'"), httpx2.RemoteProtocolError("closed")),
    ),
    "snapshot lacks files": (
        ReasonCode.INCOMPLETE_DOWNLOAD,
        (OSError("no file"), errors.IncompleteSnapshotError("lacks", snapshot_path="s")),
    ),
    "no stored token": (
        ReasonCode.NO_TOKEN,
        (errors.LocalTokenNotFoundError("Token is required, but no token found."),),
    ),
}


@pytest.mark.parametrize("case", HUB_CHAINS)
def test_what_the_hub_refused_is_read_from_the_chain(case: str) -> None:
    code, links = HUB_CHAINS[case]
    reason = triage(chained(*links))
    assert reason is not None
    assert reason.code is code
    assert reason.action


HERE = {
    "short file": (
        ReasonCode.INCOMPLETE_DOWNLOAD,
        SafetensorError("Error while deserializing header: incomplete metadata, file not covered"),
    ),
    "full disk": (ReasonCode.DISK_FULL, OSError(errno.ENOSPC, "No space left on device")),
    "full disk, safetensors": (
        ReasonCode.DISK_FULL,
        SafetensorError('I/O error: Os { code: 28, message: "No space" } (os error 28)'),
    ),
    "remote code": (
        ReasonCode.REMOTE_CODE,
        ValueError("The repository x contains custom code which must be executed to correctly"),
    ),
    "old transformers": (
        ReasonCode.VERSION_TOO_OLD,
        ValueError("model type `x` but Transformers does not recognize this architecture."),
    ),
    "old package": (
        ReasonCode.VERSION_TOO_OLD,
        ImportError(
            "tokenizers>=0.30 is required for a normal functioning of this module, but found "
            "tokenizers==0.23.3."
        ),
    ),
    "no flash attention": (
        ReasonCode.MISSING_PACKAGE,
        ImportError("FlashAttention2 has been toggled on, but it cannot be used"),
    ),
    "main memory, torch": (
        ReasonCode.OUT_OF_MEMORY,
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ),
    "main memory, Python": (ReasonCode.OUT_OF_MEMORY, MemoryError()),
    "main memory, mmap": (ReasonCode.OUT_OF_MEMORY, OSError(errno.ENOMEM, "Cannot allocate")),
    "main memory, torch's mmap": (
        ReasonCode.OUT_OF_MEMORY,
        RuntimeError("unable to mmap 140861928 bytes from file <a>: Cannot allocate memory (12)"),
    ),
    "main memory, a thread's stack": (
        ReasonCode.OUT_OF_MEMORY,
        RuntimeError("can't start new thread"),
    ),
}


@pytest.mark.parametrize("case", HERE)
def test_what_this_machine_lacks_is_a_reason(case: str) -> None:
    code, exception = HERE[case]
    reason = triage(exception)
    assert reason is not None
    assert reason.code is code


@pytest.mark.parametrize(
    ("message", "package"),
    [
        ("AutoImageProcessor requires the Pillow library but it was not found in your", "Pillow"),
        ("requires `accelerate`. You can install it with `pip install accelerate`", "accelerate"),
        (
            "requires the following packages that were not found in your environment: einops. "
            "Run `pip install einops`",
            "einops",
        ),
    ],
)
def test_a_missing_package_comes_with_its_command(message: str, package: str) -> None:
    reason = triage(ImportError(message))
    assert reason is not None
    assert reason.code is ReasonCode.MISSING_PACKAGE
    assert reason.action == f"run `pip install {package}`"


@pytest.mark.parametrize(
    "exception",
    [
        OSError("org/name does not appear to have a file named model.safetensors"),
        OSError("It looks like the config file at 'config.json' is not a valid JSON file."),
        ValueError("Unrecognized configuration class <class 'T5Config'> for this kind"),
        RuntimeError("Error(s) in loading state_dict: size mismatch; ignore_mismatched_sizes=True"),
        SafetensorError("Error while deserializing header: invalid header"),
        RuntimeError("shape '[64, 1]' is invalid for input of size 96"),
        AssertionError("logits differ"),
        ModuleNotFoundError("No module named 'transformers.models.llama.gone'"),
        errors.StrictDataclassFieldValidationError("hidden_size", TypeError("expected int")),
    ],
)
def test_what_is_not_listed_is_a_failure(exception: BaseException) -> None:
    assert triage(exception) is None


def test_gpu_memory_is_known_by_the_name_of_torchs_class() -> None:
    torch_error = type("OutOfMemoryError", (RuntimeError,), {})
    assert is_out_of_memory(torch_error("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert is_out_of_memory(chained(RuntimeError("forward failed"), MemoryError()))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_out_of_memory(AssertionError("logits differ"))


def test_memory_wins_over_what_was_being_handled_when_it_ran_out() -> None:
    error = chained(MemoryError(), hub_error(errors.RepositoryNotFoundError, 404))
    reason = triage(error)
    assert reason is not None
    assert reason.code is ReasonCode.OUT_OF_MEMORY


def test_a_reason_raised_deeper_is_kept() -> None:
    reason = Reason(ReasonCode.NO_TWIN, "no class", "nothing")
    assert triage(chained(RuntimeError("while opening"), CannotRun(reason))) is reason
    assert triage(NotApplicable("attention")) is not None


def test_context_counts_unless_it_was_cut_off() -> None:
    def raised(cut: bool) -> BaseException:
        try:
            try:
                raise hub_error(errors.GatedRepoError, 403)
            except errors.GatedRepoError:
                outer = OSError("can't load")
                if cut:
                    raise outer from None
                raise outer  # noqa: B904 - the implicit context is what is tested
        except OSError as error:
            return error

    assert triage(raised(cut=True)) is None
    reason = triage(raised(cut=False))
    assert reason is not None
    assert reason.code is ReasonCode.GATED


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert list(exception_chain(one)) == [one, other]
    assert triage(one) is None


def test_no_text_repeats_what_the_exception_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Messages of the hub hold paths of this machine and may hold a token."""
    makers: list[Callable[[str], BaseException]] = [
        lambda text: hub_error(errors.GatedRepoError, 401, text),
        lambda text: ValueError(f"{text} contains custom code which must be executed {text}"),
        lambda text: OSError(errno.ENOSPC, text),
    ]
    for make in makers:
        reason = triage(make("/home/somebody/hf_secret"))
        assert reason is not None
        assert "somebody" not in str(reason)
