"""Decodes pictures to pixels, at the size that a network wants."""

import warnings
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cortex.inference.media.errors import BrokenMedia
from cortex.inference.media.kinds import IMAGE_PIXELS_MAX

Pixels = NDArray[np.uint8]

CROP: Final = 0.875
"""Share of the shorter side that is looked at: what the network was trained with."""

READ_SIDE_MAX: Final = 2_000
"""Pixels of the longer side when looking for words: more finds no more of them."""


class Picture:
    """One decoded picture; of a moving one the first frame."""

    def __init__(self, file: BinaryIO, form: str, side: int) -> None:
        """Decode it, a JPEG no larger than ``side`` needs.

        Raises:
            BrokenMedia: it cannot be decoded, or is larger than it said.
        """
        try:
            # What Pillow merely warns of is too much here.
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                opened = Image.open(file, formats=[form.upper()])
            self.width, self.height = opened.size
            if self.width * self.height > IMAGE_PIXELS_MAX:
                message = "the picture has more pixels than it said"
                raise BrokenMedia(message, field="file")
            opened.draft("RGB", (side, side))
            self._image = _upright(opened)
        except (
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
            OSError,
            SyntaxError,
            ValueError,
        ) as error:
            message = "the picture cannot be decoded"
            hint = "Save it again with an ordinary program."
            raise BrokenMedia(message, hint=hint, field="file") from error

    def square(self, side: int) -> Pixels:
        """Return the middle as RGB pixels, ``side`` by ``side``."""
        width, height = self._image.size
        part = max(1.0, min(width, height) * CROP)
        left, top = (width - part) / 2, (height - part) / 2
        box = (left, top, left + part, top + part)
        small = self._image.resize((side, side), Image.Resampling.BICUBIC, box)
        return np.asarray(small)

    def whole(self) -> Pixels:
        """Return all of it as RGB pixels, made smaller if it is very large."""
        image = self._image.copy()
        image.thumbnail((READ_SIDE_MAX, READ_SIDE_MAX))
        return np.asarray(image)


def _upright(opened: Image.Image) -> Image.Image:
    """Return it as RGB, turned as the camera says, on white where it is clear."""
    image = ImageOps.exif_transpose(opened)
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, "white")
        image = Image.alpha_composite(ground, clear)
    return image.convert("RGB")
