"""What is written in a picture, by RapidOCR with its own PP-OCR models."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR

from cortex.foundation.canonical import sha256_hex
from cortex.inference.errors import EmbeddingFailed, ModelUnusable

FILES: Final = {
    "PP-OCRv6_det_small.onnx": (
        "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"
    ),
    "PP-OCRv6_rec_small.onnx": (
        "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"
    ),
    "ch_ppocr_mobile_v2.0_cls_mobile.onnx": (
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c"
    ),
}
"""The models, and the hashes they must have: one that is missing is not downloaded."""

_HINT: Final = "Install rapidocr==3.10.0 again."


class WordReader:
    """Finds lines of text and reads them."""

    def __init__(self, folder: Path) -> None:
        """Load the models.

        Raises:
            ModelUnusable: one is missing or altered.
        """
        for name, digest in FILES.items():
            try:
                found = sha256_hex((folder / name).read_bytes())
            except OSError as error:
                message = f"the OCR model {name} cannot be read: {error.strerror}"
                raise ModelUnusable(message, hint=_HINT) from error
            if found != digest:
                message = f"the OCR model {name} is not the one that was published"
                raise ModelUnusable(message, hint=_HINT)
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.model_root_dir": str(folder),
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, pixels: NDArray[np.uint8]) -> str:
        """Return the lines that were read, from top to bottom.

        Raises:
            EmbeddingFailed: the engine failed on the picture.
        """
        try:
            found = self._engine(np.ascontiguousarray(pixels[:, :, ::-1]))
        except (RuntimeError, ValueError) as error:
            message = f"the words of the picture could not be read: {error}"
            raise EmbeddingFailed(message) from error
        return "\n".join(found.txts or ())
