"""A datasite's settings: a TOML file in its home folder, overridden by WARDROUND_* environment variables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from datasites.runner.executors.options import KubernetesOptions, SlurmOptions
from datasites.runner.limits import Limits
from datasites.wire.files import write_atomically
from datasites.wire.identity import check_email
from datasites.wire.store_options import beside
from policies.errors import InvalidInput

FILE = "datasite.toml"


class DatasiteSettings(BaseSettings):
    """Every field can be set in `datasite.toml` or as an environment variable, e.g. WARDROUND_SYNC_SECONDS=5.

    Values of `store_options` go to the object store as they are, e.g. `aws_endpoint`. Keys belong into a file of
    their own that only the agent can read: `keys_file` names it, and `ca_file` the certificate of a private authority
    (see `datasites.wire.store_options`); files are looked for in the home folder. From the environment the options come
    as JSON: WARDROUND_STORE_OPTIONS.
    """

    model_config = SettingsConfigDict(env_prefix="WARDROUND_", env_nested_delimiter="__", extra="forbid")

    email: Annotated[str, AfterValidator(check_email)] = Field(description="The address that others know it by.")
    name: str = Field(default="", max_length=200, description="The hospital's name, as researchers see it.")
    store: str = Field(description="Where all participants meet: file:///..., s3://..., gs://..., az://...")
    store_options: dict[str, Any] = Field(default_factory=dict, description="Options of the object store.")
    sync_seconds: float = Field(default=1.0, gt=0, description="How often the agent looks for requests, at most.")
    idle_seconds: float = Field(
        default=30.0, gt=0, description="How often it looks after a long silence; a store on this machine never waits."
    )
    poll_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How often it looks for a new round after a long silence; every half second on this machine.",
    )
    audit_seconds: float = Field(default=10.0, gt=0, description="How often heads of audit logs are exchanged.")
    worker_idle_seconds: float = Field(default=900.0, gt=0, description="A study's idle process ends after this.")
    approval_days: int = Field(default=90, ge=1, description="An approval expires after this, unless said otherwise.")
    keep_days: float = Field(
        default=30.0, ge=0, description="The answers of a study that is over stay in the store for so long."
    )
    unfinished_days: float = Field(
        default=2.0, ge=0, description="Parts of an upload that was never finished stay in the store for so long."
    )
    metrics: str = Field(default="", description="Where on this machine metrics are served: 127.0.0.1:9464.")
    log_format: Literal["text", "json"] = Field(default="text", description="Of the agent's log lines.")
    executor: Literal["local", "slurm", "kubernetes"] = Field(
        default="local", description="Where studies run: on this machine, or as jobs of the hospital's own cluster."
    )
    slurm: SlurmOptions | None = Field(default=None, description="How, on a Slurm cluster.")
    kubernetes: KubernetesOptions | None = Field(default=None, description="How, on a Kubernetes cluster.")
    limits: Limits = Field(default_factory=Limits, description="What the process of a study may use.")

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        if self.executor != "local" and getattr(self, self.executor) is None:
            raise ValueError(f"executor is {self.executor!r}, and there is no [{self.executor}] section that says how")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)

    @classmethod
    def load(cls, home: Path) -> DatasiteSettings:
        """Raises InvalidInput, naming every wrong setting."""
        path = home / FILE
        if not path.is_file():
            raise InvalidInput(f"There is no datasite in {home}.", "Run: wardround datasite init, or give --home.")
        try:
            settings = cls(**tomllib.loads(path.read_text()))
            settings.store_options = beside(home, settings.store_options)
            return settings
        except SettingsError as error:  # its cause may quote a secret
            raise InvalidInput(f"A WARDROUND_* variable is not valid JSON: {error}.") from None
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
            raise InvalidInput(f"The settings in {path} (or WARDROUND_* variables) are wrong: {wrong}.") from None
        except ValueError as error:
            raise InvalidInput(f"{path} is not valid TOML: {error}.") from None


def write_settings(home: Path, email: str, name: str, store: str, options: Mapping[str, str] | None = None) -> None:
    """A first settings file, with the lines a person may want to change. options: of the store."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = (
        f"# Settings of this datasite. Each can also be given as an environment variable: WARDROUND_SYNC_SECONDS=5\n"
        f"email = {quoted(email)}\nname = {quoted(name)}\nstore = {quoted(store)}\n\n"
        f"# sync_seconds = 1.0          # how often the agent looks for requests, while some come\n"
        f"# idle_seconds = 30.0         # and how often after a long silence\n"
        f"# approval_days = 90          # an approval expires after this, unless said otherwise\n\n"
        f"# [limits]                    # what the process of a study may use\n"
        f"# memory_bytes = 8589934592\n"
    )
    if options:
        text += "\n[store_options]\n" + "".join(f"{k} = {quoted(v)}\n" for k, v in options.items())
    write_atomically(home / FILE, text.encode())
