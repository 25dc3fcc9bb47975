"""A spec as the YAML that says the same, to take home."""

from typing import Any

import yaml

from samkit.work.sweep.spec import PictureSource, PromptRule, SweepSpec


def spec_text(spec: SweepSpec) -> str:
    """What `spec_from_text` reads back; what is at its default is left out. Prompts that were read from a file are
    named by that file, so it has to lie beside the spec.
    """
    values = spec.model_dump(mode="json", exclude_defaults=True)
    if "models" in values:
        values["models"] = _one_or_list(values["models"])
    if spec.pictures:
        values["pictures"] = _one_or_list([_source(source) for source in spec.pictures])
    if "prompts" in values:
        values["prompts"] = _one_or_list([_rule(rule) for rule in spec.prompts])
    order = [name for name in SweepSpec.model_fields if name in values]
    return yaml.safe_dump(
        {name: values[name] for name in order}, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100
    )


def _one_or_list(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 and not isinstance(values[0], list) else values


def _source(source: PictureSource) -> Any:
    values = source.model_dump(mode="json", exclude_defaults=True)
    if set(values) == {"samples"} and len(source.samples) == 1:
        return source.samples[0]
    return {name: _one_or_list(value) if name == "files" else value for name, value in values.items()}


def _rule(rule: PromptRule) -> Any:
    values = rule.model_dump(mode="json", exclude_defaults=True, exclude={"loaded"})
    return values if values not in ({}, {"given": True}) else "given" if values else "none"
