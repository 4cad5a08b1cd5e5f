"""Reading YAML that a person wrote: strict blocks of settings, numbers as people write them, one-line errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from study.errors import StudyError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
"""Names of arms, families and terms."""

Block = TypeVar("Block", bound="Strict")

# Tags of unions, which pydantic puts into the place of an error although no one wrote them there.
_TAGS = ("palette_world", "tiny_imagenet", "folder")


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number (got {str(value).lower()})")
    return value


# Numbers as people write them; pydantic alone would take true for 1.
Real = Annotated[float, BeforeValidator(_no_truth)]
Whole = Annotated[int, BeforeValidator(_no_truth)]

# What is wrong in the words of a person who writes YAML, by the kind of error; {} are its limits.
_BLOCK, _WHOLE, _NUMBER = "must be a block of settings", "must be a whole number", "must be a number"
_WORDS = {
    "extra_forbidden": "unknown key", "missing": "missing", "union_tag_not_found": "missing",
    "union_tag_invalid": "must be one of {expected_tags}", "literal_error": "must be {expected}",
    "dict_type": _BLOCK, "model_type": _BLOCK, "model_attributes_type": _BLOCK, "list_type": "must be a list",
    "int_parsing": _WHOLE, "int_type": _WHOLE, "int_from_float": _WHOLE,
    "float_parsing": _NUMBER, "float_type": _NUMBER, "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false", "bool_type": "must be true or false", "string_type": "must be text",
    "greater_than": "must be above {gt}", "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}", "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}", "too_short": "needs at least {min_length}",
}  # fmt: skip
_WITHOUT_VALUE = ("extra_forbidden", "missing", "union_tag_not_found", "too_short", "value_error")


class Strict(BaseModel):
    """A block of settings: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def checked(model: type[Block], content: Any, where: str) -> Block:
    """`content` as a `model`; StudyError in one line that begins with `where` when something is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise StudyError(f"{where}: {_one_line(error)}") from error


def _one_line(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        kind, value = item["type"], item["input"]
        limits = {name: _plain(limit) for name, limit in item.get("ctx", {}).items()}
        where = ".".join(str(part) for part in item["loc"] if part not in _TAGS)
        message = _WORDS[kind].format(**limits) if kind in _WORDS else item["msg"].removeprefix("Value error, ")
        if "discriminator" in limits:
            where = ".".join(filter(None, (where, limits["discriminator"].strip("'"))))
            value = limits.get("tag")
        if kind not in _WITHOUT_VALUE and not isinstance(value, dict | list):
            message = f"{message} (got {value!r})"
        problems.append(f"{where}: {message}" if where else message)
    return "; ".join(problems)


def _plain(limit: Any) -> Any:
    """A number as people write it: 0.0 as 0, a million with all its digits."""
    return f"{limit:.12g}" if isinstance(limit, int | float) else limit


class _OneMeaning(yaml.SafeLoader):
    """YAML in which a key written twice is an error instead of the second silently winning, and 6e4 a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # <<: *anchor
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else None)
        return super().construct_mapping(node, deep)


# YAML 1.1, which the loader knows, takes an exponent without a point for text; YAML 1.2 and people do not.
_OneMeaning.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; StudyError when it is missing, no YAML or no mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OneMeaning)
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise StudyError(f"{path}{line}: {getattr(error, 'problem', None) or 'not valid YAML'}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path}: must be a mapping of settings, found {type(content).__name__}")
    return content
