"""Settings: the one place where configuration enters. Options of a command win over environment variables over defaults.

Every field can be set as `REHYDRATE_<NAME>`; `rehydrate settings` prints each with its value and where it came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Values with their units last in the name."""

    model_config = SettingsConfigDict(env_prefix="REHYDRATE_", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path(".rehydrate"), description="Where events, read models, logs and the effect spool live.")
    database: str = Field(
        default="",
        description="postgresql://USER@HOST/DB or sqlite:///PATH of the events; empty: what the data dir knows.",
    )
    kafka: str = Field(default="", description="HOST:PORT[,…] of a Kafka cluster; empty: the embedded broker.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to get into the Kafka cluster: with TLS (SSL), with a password (SASL), or both."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How the password is told; PLAIN sends the password itself."
    )
    kafka_username: str = Field(default="", description="User for SASL.")
    kafka_password: SecretStr | None = Field(default=None, description="Password for SASL.")
    kafka_ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities to trust with TLS; none: those of the machine."
    )
    kafka_cert_file: Path | None = Field(default=None, description="PEM file of a certificate to show, where Kafka asks for one.")
    kafka_key_file: Path | None = Field(
        default=None, description="PEM file of its key, without a passphrase; none: in the same file."
    )
    kafka_replication: int = Field(
        default=0, ge=0, le=32, description="Replicas of topics that are created; 0: three, or as many as there are brokers."
    )
    topic_prefix: str = Field(
        default="rehydrate",
        pattern=r"^[A-Za-z0-9_-]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?$",
        description="First word of the names of topics and groups on a Kafka cluster; the store's id follows, then the role.",
    )
    hmac_key: SecretStr | None = Field(
        default=None, description="Key that signs messages; none: a plain digest, which finds accidents only."
    )
    effects_url: str = Field(default="", description="Gateway that effects are posted to; empty: the spool in the data dir.")
    effect_timeout_s: float = Field(default=30.0, gt=0, description="How long one request to the gateway may take.")
    currency: str = Field(
        default="USD", pattern="^[A-Z]{3}$", description="Currency of a feed's amounts (ISO 4217); Shopify's CSV names none."
    )
    window: int = Field(default=64, ge=1, le=1000, description="Products of a run on their way at a time.")
    heartbeat_s: float = Field(default=0.5, gt=0, description="Time between two heartbeats of a process.")
    silence_s: float = Field(default=5.0, gt=0, description="A process without a heartbeat for so long is killed and replaced.")
    start_timeout_s: float = Field(default=30.0, gt=0, description="How long a new process may take to its first heartbeat.")
    stop_timeout_s: float = Field(
        default=10.0, gt=0, description="How long an orderly stop may take before processes are killed."
    )
    dead_after_s: float = Field(default=3600.0, gt=0, description="A message for an agent that never was is dead after this age.")
    deadletter_retention_d: float = Field(
        default=90.0, ge=0, description="Dead letters of this age, in days, are discarded by `rehydrate store vacuum`."
    )
    sender_retention_d: float = Field(
        default=30.0,
        gt=0,
        description="Marks of agents that stopped so many days ago go with `rehydrate store vacuum`: longer than Kafka keeps messages.",
    )
    restart_backoff_s: float = Field(
        default=0.2, ge=0, description="First wait before a process that keeps dying is started again; it doubles."
    )
    chaos_plan: Path | None = Field(
        default=None, description="JSON file of faults to inject into this run (docs/how-to/inject-faults.md)."
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Level of the log files in the data dir."
    )

    @property
    def hmac_bytes(self) -> bytes | None:
        return self.hmac_key.get_secret_value().encode() if self.hmac_key else None
