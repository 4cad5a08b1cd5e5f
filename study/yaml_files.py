"""Reading YAML that a person wrote: strict blocks of settings, numbers as people write them, one-line errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from study.errors import StudyError

Block = TypeVar("Block", bound="Strict")

# Tags of unions, which pydantic puts into the place of an error although no one wrote them there.
_TAGS = ("palette_world", "tiny_imagenet", "folder")


def _number(value: Any) -> Any:
    # YAML 1.1 reads "1e-3" (no dot) as text; a person means a number.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number)]


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
        where = ".".join(str(part) for part in item["loc"] if part not in _TAGS)
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        elif item["type"] == "missing":
            message = "missing"
        elif item["type"] == "union_tag_invalid":
            message = f"must be one of {item['ctx']['expected_tags']} (got {item['ctx']['tag']!r})"
            where = ".".join(filter(None, (where, item["ctx"]["discriminator"].strip("'"))))
        elif not isinstance(item["input"], dict | list):
            message = f"{message[0].lower()}{message[1:]} (got {item['input']!r})"
        problems.append(f"{where}: {message}" if where else message)
    return "; ".join(problems)


class _OneMeaning(yaml.SafeLoader):
    """YAML in which a key written twice is an error instead of the second silently winning."""

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
