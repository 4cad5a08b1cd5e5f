"""What params.yaml may say about a study's pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.config.yaml_files import Strict, Whole

Multiple8 = Annotated[Whole, Field(ge=16, le=1024, multiple_of=8)]


class PaletteWorldData(Strict):
    """The generated world with a known answer (study/data/palette_world.py)."""

    source: Literal["palette_world"]
    train: Whole = Field(ge=1, le=1_000_000)
    val: Whole = Field(ge=1, le=100_000)
    test: Whole = Field(ge=1, le=100_000)
    size: Multiple8 = 32
    seed: Whole = Field(default=0, ge=0)


class TinyImagenetData(Strict):
    """Tiny ImageNet: the first train/200 pictures of each class train, the next val/200 validate, its val tests."""

    source: Literal["tiny_imagenet"]
    train: Whole = Field(ge=200, le=100_000, multiple_of=200)
    val: Whole = Field(ge=200, le=50_000, multiple_of=200)
    test: Whole = Field(ge=1, le=10_000)
    size: Multiple8 = Field(default=64, le=64)


class FolderData(Strict):
    """Any directory of pictures; `val` and `test` are shares, chosen by the hash of each file's bytes.

    monochrome: what is done with near-gray and sepia pictures: "keep" uses them, "flag" uses and lists them, "skip"
    leaves them out.
    """

    source: Literal["folder"]
    path: str
    size: Multiple8 = 64
    val: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.1, gt=0, lt=1)
    limit: Whole | None = Field(default=None, ge=3)
    monochrome: Literal["keep", "flag", "skip"] = "flag"

    @model_validator(mode="after")
    def _leaves_some_to_train(self) -> FolderData:
        if self.val + self.test >= 1:
            raise ValueError("val + test must leave a share for training (their sum must be below 1)")
        return self


DataSettings = Annotated[PaletteWorldData | TinyImagenetData | FolderData, Field(discriminator="source")]
