"""What a user may set, as data. Every field has a default that works on a plain laptop.

Not pydantic: `rung config show` must start as fast as `--help`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from rung.config.section import Section, ranged

# No call, budget or stake is more; sums in nano-USD must fit 64 bits.
MOST_USD = 1_000_000.0

EngineKind = Literal["openai", "lmstudio", "ollama", "vllm", "llamacpp", "openrouter", "anthropic"]
KvType = Literal["f16", "q8_0", "q4_0"]
PaidPolicy = Literal["ask", "allow", "deny"]
StoreContent = Literal["off", "hash", "truncated", "full"]
SandboxKind = Literal["auto", "bubblewrap", "landlock"]
AtEnd = Literal["review", "skip"]
LearningMode = Literal["off", "advise", "on"]
NONE: Mapping[str, Any] = MappingProxyType({})


class Secret(str):
    """A string that is never printed: `repr` and `rung config show` mask it."""

    def __repr__(self) -> str:
        return "'********'" if self else "''"


class EmbeddedSettings(Section):
    """The llama.cpp server that Rung starts in a child process of its own."""

    enabled: bool = True
    model: str = "smollm2-135m"
    context_tokens: int = ranged(default=4096, low=256, high=1_048_576)
    slots: int = ranged(default=1, low=1, high=64)
    kv_type: KvType = "f16"
    threads: int = ranged(default=0, low=0, high=512)  # 0: one less than it has
    gpu_layers: int = ranged(default=-1, low=-1, high=10_000)  # -1: as many as fit
    load_timeout_s: float = ranged(default=60.0, low=1, high=3600)
    idle_unload_s: int = ranged(default=300, low=1, high=86_400)
    cache_mib: int = ranged(default=256, low=0, high=65_536)
    timeout_s: float = ranged(default=300.0, low=0.1, high=86_400)


class EngineSettings(Section):
    """An engine reached over HTTP. `base_url` includes `/v1`, or is `ssh://USER@HOST/…`."""

    kind: EngineKind = "openai"
    base_url: str = ""
    api_key: Secret = Secret()
    api_key_env: str = ""
    enabled: bool = True
    model: str = ""
    timeout_s: float = ranged(default=180.0, low=0.1, high=86_400)  # to the first token
    stall_timeout_s: float = ranged(default=90.0, low=0.1, high=86_400)  # between two
    health_path: str = ""
    ssh_config: str = ""  # for ssh://: another file than ~/.ssh/config
    endpoint: str = ""  # another chat route than the kind's own, such as /api/v1/chat
    slots: int = ranged(default=0, low=0, high=10_000)  # calls at a time; 0: as many as come
    memory_gib: float = ranged(default=0.0, low=0, high=100_000)  # for its models; 0: unknown
    locality: Literal["", "local", "lan", "cloud"] = ""


class ModelSettings(Section):
    """What Rung should know of one model (`engine/model-id`); prices in USD per million tokens."""

    tier: str = ""
    context_tokens: int | None = ranged(default=None, low=1, high=1_000_000_000)
    usd_per_mtok_in: float | None = ranged(default=None, low=0, high=MOST_USD)
    usd_per_mtok_out: float | None = ranged(default=None, low=0, high=MOST_USD)
    usd_per_mtok_cache_read: float | None = ranged(default=None, low=0, high=MOST_USD)
    usd_per_mtok_cache_write: float | None = ranged(default=None, low=0, high=MOST_USD)
    kv_type: Literal["", "f16", "q8_0", "q4_0"] = ""
    slots: int | None = ranged(default=None, low=1, high=64)
    pinned: bool = False  # never evicted
    idle_unload_s: int | None = ranged(default=None, low=1, high=604_800)


class MemorySettings(Section):
    """How much of this machine's memory models may take, all engines together."""

    budget_gib: float = ranged(default=0.0, low=0, high=100_000)  # 0: what is free, less a reserve
    reserve_gib: float = ranged(default=1.0, low=0, high=100_000)


class RetrySettings(Section):
    """How often a call is tried again on the same engine after a passing failure."""

    attempts: int = ranged(default=3, low=1, high=20)
    first_wait_s: float = ranged(default=0.5, low=0, high=600)
    longest_wait_s: float = ranged(default=30.0, low=0, high=3600)


class HubSettings(Section):
    """Where `rung models pull hf:…` fetches from: the Hugging Face hub, or a mirror of it."""

    url: str = "https://huggingface.co"
    token: Secret = Secret()
    token_env: str = "HF_TOKEN"  # noqa: S105


class LedgerSettings(Section):
    """Where the record of every call is kept: a SQLite file, `postgresql://…`, or `off`."""

    url: str = ""  # empty: a SQLite file in the data folder
    store_content: StoreContent = "hash"


class SandboxSettings(Section):
    """Limits for code that a model wrote."""

    kind: SandboxKind = "auto"
    timeout_s: float = ranged(default=60.0, low=0.1, high=86_400)
    memory_mib: int = ranged(default=1024, low=64, high=1_048_576)
    processes: int = ranged(default=64, low=4, high=10_000)
    file_mib: int = ranged(default=64, low=1, high=65_536)
    python: str = ""  # empty: the project's own virtual environment, else Rung's


class EscalationSettings(Section):
    """Limits of every task, whatever its type."""

    paid: PaidPolicy = "ask"
    paid_tiers: Mapping[str, PaidPolicy] = NONE  # by tier, where another answer than `paid` holds
    warn_usd: float = ranged(default=0.1, low=0, high=MOST_USD)  # warn before a call this dear
    task_budget_usd: float = ranged(default=1.0, low=0, high=MOST_USD)
    task_timeout_s: float = ranged(default=1800.0, low=1, high=604_800)
    task_tokens: int | None = ranged(default=None, low=1, high=1_000_000_000)  # in and out
    parallel_local: int = ranged(default=1, low=1, high=8)  # free rungs that are tried at once
    max_answer_tokens: int = ranged(default=1024, low=16, high=1_000_000)
    retry_temperature: float = ranged(default=0.7, low=0, high=2)
    checker_confidence: float = ranged(default=0.8, low=0, high=1)


class LimitSettings(Section):
    """What may be used in a day or a month; unset is no limit. Days and months are local time."""

    day_usd: float | None = ranged(default=None, low=0, high=MOST_USD)
    month_usd: float | None = ranged(default=None, low=0, high=10_000_000)
    day_tokens: int | None = ranged(default=None, low=0, high=10**12)
    day_seconds: float | None = ranged(default=None, low=0, high=10_000_000)
    day_attempts: int | None = ranged(default=None, low=0, high=1_000_000)


class BudgetSettings(Section):
    """Limits over all tasks; `types` and `apps` for one task type and one application."""

    day_usd: float | None = ranged(default=None, low=0, high=MOST_USD)
    month_usd: float | None = ranged(default=None, low=0, high=10_000_000)
    day_tokens: int | None = ranged(default=None, low=0, high=10**12)
    day_seconds: float | None = ranged(default=None, low=0, high=10_000_000)
    day_attempts: int | None = ranged(default=None, low=0, high=1_000_000)
    types: Mapping[str, LimitSettings] = NONE
    apps: Mapping[str, LimitSettings] = NONE


class LearningSettings(Section):
    """What outcomes may change, and what right and wrong answers are worth to this user."""

    mode: LearningMode = "advise"
    value_usd: float = ranged(default=0.0, low=0, high=MOST_USD)  # of a right answer
    cost_of_wrong_usd: float = ranged(default=6.0, low=0, high=MOST_USD)  # accepted, but wrong
    cost_of_review_usd: float = ranged(default=2.0, low=0, high=MOST_USD)  # handed to a person
    usd_per_hour: float = ranged(default=0.0, low=0, high=100_000)  # of waiting
    prior_tasks: float = ranged(default=4.0, low=0.1, high=1000)  # weight of the matrix's order
    forget: float = ranged(default=0.995, low=0.5, high=1)  # weight of the past at each outcome
    explore: bool = True  # never for critical tasks
    audit_rate: float = ranged(default=0.03, low=0, high=1)  # of accepted work, for a person
    shadow_rate: float = ranged(default=0.0, low=0, high=1)  # of accepted work, for another model
    shadow_model: str = ""
    complexity: Mapping[str, float] = NONE  # by task type: added to what the rules say


class ClassifySettings(Section):
    """`[classify]`: what is critical here, beside what the packaged rules know."""

    critical_words: tuple[str, ...] = ()  # in a request: words or phrases; `word*` takes endings
    critical_paths: tuple[str, ...] = ()  # folder or file names, with * and ?


class MatrixRow(Section):
    """One task type's row of the escalation matrix; empty fields keep the default row's value."""

    chain: tuple[str, ...] = ()
    checker: str = ""
    checks: tuple[str, ...] = ()
    attempts_per_rung: int = ranged(default=0, low=0, high=10)
    max_attempts: int = ranged(default=0, low=0, high=100)
    at_end: Literal["", "review", "skip"] = ""


class Settings(Section):
    """Everything, resolved."""

    local_only: bool = False
    discover: bool = True  # look for engines on their default ports
    app: str = "rung"
    data_dir: Path = Path()
    models_dir: Path = Path()
    embedded: EmbeddedSettings = EmbeddedSettings()
    engines: Mapping[str, EngineSettings] = NONE
    models: Mapping[str, ModelSettings] = NONE
    tiers: Mapping[str, int] = NONE
    memory: MemorySettings = MemorySettings()
    retry: RetrySettings = RetrySettings()
    hub: HubSettings = HubSettings()
    ledger: LedgerSettings = LedgerSettings()
    sandbox: SandboxSettings = SandboxSettings()
    escalation: EscalationSettings = EscalationSettings()
    budget: BudgetSettings = BudgetSettings()
    learning: LearningSettings = LearningSettings()
    classify: ClassifySettings = ClassifySettings()
    matrix: Mapping[str, MatrixRow] = NONE
