"""The exceptions that mean a reason not to run, each with the text and the action it is shown with.

The order is that of precedence: `compat.outcomes.triage` tries each rule on the whole chain of an
exception before the next.
"""

from __future__ import annotations

import errno

from compat.outcomes.hub_rules import HUB_RULES
from compat.outcomes.reason import ReasonCode
from compat.outcomes.rule import Rule

PACKAGE = r"[`'\"]?([A-Za-z][\w.-]*)[`'\"]?"
OUT_OF_MEMORY_RULES: tuple[Rule, ...] = (
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of GPU memory",
        "free the GPU, choose a mode that needs less, or run on a larger GPU",
        classes=("OutOfMemoryError",),
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of GPU memory",
        "free the GPU, choose a mode that needs less, or run on a larger GPU",
        classes=("RuntimeError",),
        message=r"CUDA (error: )?out of memory|CUBLAS_STATUS_ALLOC_FAILED",
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of main memory",
        "close other programs, choose a mode that needs less, or run on a larger machine",
        classes=("MemoryError",),
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of main memory",
        "close other programs, choose a mode that needs less, or run on a larger machine",
        classes=("RuntimeError",),
        message=r"DefaultCPUAllocator: (can't allocate|not enough) memory"
        rf"|unable to mmap \d+ bytes .*\({errno.ENOMEM}\)$",
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of main memory",
        "close other programs, choose a mode that needs less, or run on a larger machine",
        classes=("OSError",),
        error_numbers=(errno.ENOMEM,),
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "no memory for the stack of another thread, or no more threads are allowed",
        "close other programs, choose a mode that needs less, or raise the limit of threads",
        classes=("RuntimeError",),
        message=r"^can't start new thread$",
    ),
)

DISK_RULES: tuple[Rule, ...] = (
    Rule(
        ReasonCode.DISK_FULL,
        "the disk is full",
        "free disk space, or point HF_HOME and TMPDIR at a larger disk, then run again",
        classes=("OSError",),
        error_numbers=(errno.ENOSPC, errno.EDQUOT),
    ),
    Rule(
        ReasonCode.DISK_FULL,
        "the disk is full",
        "free disk space, or point HF_HOME and TMPDIR at a larger disk, then run again",
        classes=("SafetensorError",),
        message=rf"I/O error: .*\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)",
    ),
)

LOADING_RULES: tuple[Rule, ...] = (
    Rule(
        ReasonCode.REMOTE_CODE,
        "the model runs code from its repository",
        "read that code, write trust_remote_code: true and its commit into the model's entry, then "
        "allow it with --compat-allow-remote-code",
        classes=("ValueError",),
        message=r"contains custom code which must be executed",
    ),
    Rule(
        ReasonCode.VERSION_TOO_OLD,
        "{0} is required, and an older version is installed",
        "run `pip install --upgrade '{0}'`",
        classes=("ImportError",),
        message=r"^(\S+) is required for a normal functioning of this module, but found",
    ),
    Rule(
        ReasonCode.VERSION_TOO_OLD,
        "the installed transformers does not know this architecture",
        "run `pip install --upgrade transformers`",
        classes=("ValueError",),
        message=r"does not recognize this architecture",
    ),
    Rule(
        ReasonCode.VERSION_TOO_NEW,
        "the model's own code needs {0}, which the installed transformers does not have",
        "run it with the transformers that its config.json names, in an environment of its own",
        classes=("ImportError",),
        message=r"^cannot import name '(\w+)' from 'transformers[\w.]*' \(",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "flash-attn is not installed",
        "run `pip install flash-attn`, or choose another attention implementation",
        classes=("ImportError",),
        message=r"FlashAttention\d? has been toggled on",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "the package {0} is not installed",
        "run `pip install {0}`",
        classes=("ImportError",),
        message=rf"requires the {PACKAGE} library,? but it was not found",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "the model's own code needs packages that are not installed: {0}",
        "run `{1}`",
        classes=("ImportError",),
        message=r"packages that were not found in your environment: ([\w., -]+)\. "
        r"Run `(pip install [\w. -]+)`",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "sentencepiece or tiktoken is needed to read this tokenizer",
        "run `pip install sentencepiece tiktoken`",
        classes=("ValueError", "ImportError"),
        message=r"need to have sentencepiece or tiktoken installed",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "the package {0} is not installed",
        "run `pip install {0}`",
        classes=("ValueError", "ImportError"),
        message=rf"(?:requires?|need to have|install) {PACKAGE}[^\n]*pip install",
    ),
)

RULES: tuple[Rule, ...] = (*OUT_OF_MEMORY_RULES, *DISK_RULES, *HUB_RULES, *LOADING_RULES)
